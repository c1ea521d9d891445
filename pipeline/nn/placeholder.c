/* empty */ typedef int nn_layer_is_empty;
