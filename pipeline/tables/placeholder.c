/* empty */ typedef int tables_layer_is_empty;
