complete --keep-order --exclusive --command nexus --arguments "(COMPLETE=fish nexus -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
