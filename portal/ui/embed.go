// Package ui holds the page's bundle, built from this folder's sources by `make web`
// and embedded at compile time. It contains no logic, and nothing in it blocks.
package ui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the bundle. It has no index.html when the page was not built.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil { // only for an invalid path, and this one is not
		return dist
	}
	return sub
}
