package web

import (
	"embed"
	"strings"
)

// docsPath is the path of the API documentation: Swagger UI from the bundle's folder docs, and the
// files below, under the page's content policy. Swagger UI works without inline scripts and styles.
const docsPath = "/api/docs"

//go:embed docs.html docs.css docs.js
var docsFiles embed.FS

// addDocs adds the files of /api/docs.
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
