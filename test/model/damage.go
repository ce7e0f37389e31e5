package model

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// someEntry does something to one file of a user's cache.
func someEntry(c choice, kind, text string, change func(path string, data []byte)) happening {
	user, n := c(2), c(64)
	return happening{kind, fmt.Sprintf("entry %d of the cache of user %d %s", n, user, text), func(w *world) {
		all := w.entries(user)
		if len(all) == 0 {
			return
		}
		path := filepath.Join(w.cache(user), all[n*len(all)/64])
		data, err := os.ReadFile(path)
		must(err)
		change(path, data)
	}}
}

func loseEntry(c choice) happening {
	return someEntry(c, "a cache loses an entry", "is lost", func(path string, _ []byte) { must(os.Remove(path)) })
}

func truncateEntry(c choice) happening {
	part := c(8)
	return someEntry(c, "a cache's entry is cut", fmt.Sprintf("keeps %d/8 of itself", part), func(path string, data []byte) {
		must(os.WriteFile(path, data[:len(data)*part/8], 0o600))
	})
}

func flipBit(c choice) happening {
	at, bit := c(256), c(8)
	return someEntry(c, "a bit of a cache flips", fmt.Sprintf("has bit %d of byte %d/256 flipped", bit, at), func(path string, data []byte) {
		data = bytes.Clone(data)
		if len(data) > 0 {
			data[len(data)*at/256] ^= 1 << bit
		}
		must(os.WriteFile(path, data, 0o600))
	})
}

func loseCache(c choice) happening {
	user := c(2)
	return happening{"a cache is deleted", fmt.Sprintf("the cache of user %d is deleted", user), func(w *world) { must(os.RemoveAll(w.cache(user))) }}
}

func keepCopy(c choice) happening {
	user := c(2)
	return happening{"a cache is copied away", fmt.Sprintf("a copy of the cache of user %d is kept", user), func(w *world) { w.saved[user] = w.read(user) }}
}

func restoreCopy(c choice) happening {
	user := c(2)
	return happening{"an old cache comes back", fmt.Sprintf("the cache of user %d becomes what it was", user), func(w *world) {
		if w.saved[user] != nil {
			w.write(user, w.saved[user])
		}
	}}
}

func shareCache(c choice) happening {
	user := c(2)
	return happening{"a cache is given to another user", fmt.Sprintf("user %d gets the cache of user %d", 1-user, user), func(w *world) {
		w.write(1-user, w.read(user))
	}}
}
