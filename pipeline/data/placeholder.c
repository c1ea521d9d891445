/* empty */ typedef int data_layer_is_empty;
