"""Reports that bring together what the other packages computed: the demonstration from a network to silicon numbers."""
