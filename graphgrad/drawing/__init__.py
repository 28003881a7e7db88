"""Pictures of graphs and passes: scene (what is seen), DOT text, Graphviz, Unicode."""
