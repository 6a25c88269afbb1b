package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gofiber/fiber/v2"
	"github.com/stretchr/testify/require"
)

func TestDocsRequestNothingElsewhere(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, path := range []string{docsPath, docsPath + "/"} {
		a := r.get(path)
		require.Equal(t, http.StatusOK, a.status)
		require.Contains(t, a.header.Get("Content-Type"), "text/html")
		require.Equal(t, r.get("/").header.Get("Content-Security-Policy"), a.header.Get("Content-Security-Policy"), "no exception is made")
		require.NotContains(t, regexp.MustCompile(`(?s)<script[^>]*>.`).FindString(a.body), "<script>", "no script is inline")
		require.Contains(t, a.body, "/api/openapi.json")
		require.Contains(t, a.body, "/api/asyncapi.yaml")
		for _, link := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
			require.True(t, strings.HasPrefix(link[1], "/") && !strings.HasPrefix(link[1], "//"), "%s is elsewhere", link[1])
		}
	}
	script := r.get(docsPath + "/docs.js")
	require.Equal(t, http.StatusOK, script.status)
	require.Contains(t, script.header.Get("Content-Type"), "text/javascript")
	require.Contains(t, script.body, "validatorUrl: null", "or it asks a service elsewhere")
	require.Equal(t, http.StatusOK, r.get("/api/asyncapi.yaml").status)
}

func TestPackedFilesOfTheBundleAreServedBothWays(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte("plain text"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	p, err := loadPage(fstest.MapFS{"docs/a.js.gz": {Data: packed.Bytes()}, "docs/licence.txt.gz": {Data: packed.Bytes()}})
	require.NoError(t, err)
	require.Nil(t, p.files["/docs/a.js"])
	require.Equal(t, "text/plain; charset=utf-8", p.files[docsPath+"/licence.txt"].kind)
	app := fiber.New()
	app.Get("/*", p.serve)
	for accept, want := range map[string]string{"gzip": packed.String(), "": "plain text"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, docsPath+"/a.js", nil)
		require.NoError(t, err)
		req.Header.Set("Accept-Encoding", accept)
		resp, err := app.Test(req, -1)
		require.NoError(t, err)
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "text/javascript; charset=utf-8", resp.Header.Get("Content-Type"))
		require.Equal(t, accept, resp.Header.Get("Content-Encoding"))
		require.Equal(t, want, body.String())
	}
	_, err = loadPage(fstest.MapFS{"docs/a.js.gz": {Data: []byte("not packed")}})
	require.Error(t, err)
}

func TestNoPathLeadsOutOfTheDocs(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, target := range []string{
		"/api/docs/../../../etc/passwd", "/api/docs/..%2f..%2fgo.mod", "/api/docs/%2e%2e/%2e%2e/go.mod", `/api/docs/..\docs.go`, "/api/docs/docs.go",
		"/api/docs/docs.html/../docs.go", "/api/docs//docs.js", "/api/docs/docs.js%00.css", "/api/docs/docs.js.gz", "/docs/docs.js", "/docs/swagger-ui.css",
		"/api/docs/" + strings.Repeat("../", 100) + "etc/passwd", "/api/openapi.json/../../go.mod", "/api/openapi.comments.json", "/api/openapi",
	} {
		status := r.raw("GET " + target).status
		require.Contains(t, []int{http.StatusNotFound, http.StatusBadRequest}, status, target)
	}
	require.Equal(t, http.StatusOK, r.raw("GET "+"/api/docs/docs.js").status)
}
