"""What every package of siliquant uses and none of them owns: command lines, files, the version."""
