//go:build !windows

package credhelper

import "io/fs"

// exposed reports whether other users may read the file.
func exposed(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
