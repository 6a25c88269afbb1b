package web

import (
	"embed"
	"strings"
)

// docsPath is where the API is shown: with Swagger UI, which the bundle brings in its folder
// docs, and with the files below. They are files of the page, under the page's policy: Swagger UI
// works without inline scripts and styles.
const docsPath = "/api/docs"

//go:embed docs.html docs.css docs.js
var docsFiles embed.FS

// addDocs puts the files of /api/docs in their places.
func (p *page) addDocs() error {
	for name, f := range p.files {
		if rest, ok := strings.CutPrefix(name, "/docs/"); ok {
			p.files[docsPath+"/"+rest] = f
			delete(p.files, name)
		}
	}
	for _, name := range []string{"docs.html", "docs.css", "docs.js"} {
		body, err := docsFiles.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := newFile(name, body)
		if err != nil {
			return err
		}
		p.files[docsPath+"/"+name] = f
	}
	index := p.files[docsPath+"/docs.html"]
	delete(p.files, docsPath+"/docs.html")
	p.files[docsPath], p.files[docsPath+"/"] = index, index
	return nil
}
