"""Where the system runs: backends, their tools, and how their programs are started and stopped."""
