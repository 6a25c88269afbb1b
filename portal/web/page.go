package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"path"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/ui"
)

// page serves the bundle. All files are in memory under their paths, so a path outside the bundle
// cannot reach a file, whatever dots it has.
type page struct{ files map[string]*file }

type file struct {
	kind   string // content type
	tag    string // ETag
	body   []byte
	packed []byte // gzip of body, nil if not smaller
}

// notBuilt is the page of a portal compiled without the bundle.
const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>industrial-iot-monitor</title>
<h1>The page is not in this build</h1>
<p>Run <code>make web</code>, then build again. The API is at <a href="/api/v1/stats">/api/v1/stats</a>.</p>
</html>
`

// builtPage is the page of this build. It is compressed once, however many portals a process has.
var builtPage = sync.OnceValues(func() (*page, error) { return loadPage(ui.Files()) })

func loadPage(bundle fs.FS) (*page, error) {
	p := &page{files: make(map[string]*file)}
	err := fs.WalkDir(bundle, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		body, err := fs.ReadFile(bundle, name)
		if err != nil {
			return err
		}
		if plain, ok := strings.CutSuffix(name, ".gz"); ok {
			p.files["/"+plain], err = newPackedFile(plain, body)
			return err
		}
		p.files["/"+name], err = newFile(name, body)
		return err
	})
	if err == nil {
		err = p.addDocs()
	}
	if err != nil {
		return nil, fmt.Errorf("loading the page: %w", err)
	}
	index := p.files["/index.html"]
	if index == nil {
		if index, err = newFile("index.html", []byte(notBuilt)); err != nil {
			return nil, err
		}
	}
	p.files["/"] = index
	return p, nil
}

// newPackedFile returns a file that is only stored as gzip.
func newPackedFile(name string, packed []byte) (*file, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	f := describeFile(name, body)
	f.packed = packed
	return f, nil
}

// describeFile returns a file with its type and tag.
func describeFile(name string, body []byte) *file {
	sum := sha256.Sum256(body)
	f := &file{kind: mime.TypeByExtension(path.Ext(name)), tag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body}
	switch path.Ext(name) { // the system's table may differ or be missing
	case ".html":
		f.kind = fiber.MIMETextHTMLCharsetUTF8
	case ".js":
		f.kind = "text/javascript; charset=utf-8"
	case ".css":
		f.kind = "text/css; charset=utf-8"
	case ".svg":
		f.kind = "image/svg+xml"
	case ".json":
		f.kind = fiber.MIMEApplicationJSON
	case ".txt":
		f.kind = fiber.MIMETextPlainCharsetUTF8
	}
	if f.kind == "" {
		f.kind = fiber.MIMEOctetStream
	}
	return f
}

func newFile(name string, body []byte) (*file, error) {
	f := describeFile(name, body)
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if packed.Len() < len(body) {
		f.packed = packed.Bytes()
	}
	return f, nil
}

func (p *page) serve(c *fiber.Ctx) error {
	f := p.files[c.Path()]
	if f == nil {
		return fiber.ErrNotFound
	}
	return f.send(c)
}

func (f *file) send(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-cache") // revalidate; the answer is mostly 304
	c.Set(fiber.HeaderETag, f.tag)
	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	if c.Get(fiber.HeaderIfNoneMatch) == f.tag {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, f.kind)
	// Fiber treats a missing Accept-Encoding as any.
	if f.packed != nil && c.Get(fiber.HeaderAcceptEncoding) != "" && c.AcceptsEncodings("gzip") != "" {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return c.Send(f.packed)
	}
	return c.Send(f.body)
}
