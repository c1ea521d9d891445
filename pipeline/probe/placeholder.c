/* empty */ typedef int probe_layer_is_empty;
