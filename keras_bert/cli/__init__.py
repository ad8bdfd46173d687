"""The command line: one file per subcommand of ``keras-bert``."""
