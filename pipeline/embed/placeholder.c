/* empty */ typedef int embed_layer_is_empty;
