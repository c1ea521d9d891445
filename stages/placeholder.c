typedef int stages_empty;
