package registry

func isTLS(error) bool           { return false }
func isNetwork(error) bool       { return false }
func temporaryStatus(s int) bool { return s == 429 || s >= 500 }
