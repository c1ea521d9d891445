/* empty */ typedef int io_layer_is_empty;
