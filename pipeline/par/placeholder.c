/* empty */ typedef int par_layer_is_empty;
