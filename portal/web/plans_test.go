package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"industrial-iot-monitor/portal/internal/metadata"
)

// picture is a PNG of noise, so that it does not get small.
func picture(t *testing.T, side int) []byte {
	t.Helper()
	p := image.NewRGBA(image.Rect(0, 0, side, side))
	rnd := rand.New(rand.NewPCG(1, uint64(side)))
	for i := range p.Pix {
		p.Pix[i] = byte(rnd.Uint32())
	}
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, p))
	return out.Bytes()
}

func imageJSON(data []byte) string {
	return fmt.Sprintf(`{"by":"li","data":%q}`, base64.StdEncoding.EncodeToString(data))
}

func TestFloorHasAPlanThatNobodyOverwrites(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	floor := "/api/v1/buildings/" + url.PathEscape("A栋") + "/floors/3/plan"
	var none planAnswer
	r.getJSON(floor, &none)
	require.Equal(t, planItem{Building: "A栋", Floor: 3, Points: []metadata.Point{}}, none.Plan)

	data := picture(t, 350) // nearly as large as can be
	require.Greater(t, len(data), 400<<10)
	up := into[imageAnswer](t, r.ask(http.MethodPost, "/api/v1/images", imageJSON(data)), http.StatusOK)
	require.Equal(t, []any{"image/png", 350, 350, len(data)}, []any{up.Image.Type, up.Image.Width, up.Image.Height, up.Image.Bytes})
	again := into[imageAnswer](t, r.ask(http.MethodPost, "/api/v1/images", strings.Replace(imageJSON(data), "li", "wang", 1)), http.StatusOK)
	require.Equal(t, up.Image, again.Image, "the same picture is kept once")

	body := fmt.Sprintf(`{"by":"li","image":%q,"points":[{"device_id":"d1","x":12.3456,"y":100}]}`, up.Image.ID)
	require.Equal(t, "428 version_missing If-Match", r.ask(http.MethodPut, floor, body).code(t))
	v := into[planChange](t, r.ask(http.MethodPut, floor, body, "If-Match", `"0"`), http.StatusOK)
	require.Equal(t, int64(1), v.Plan.Version)
	require.Equal(t, []metadata.Point{{DeviceID: "d1", X: 12.35, Y: 100}}, v.Plan.Points)
	require.Equal(t, "409 conflict If-Match", r.ask(http.MethodPut, floor, body, "If-Match", `"0"`).code(t))
	var got planAnswer
	r.getJSON(floor, &got)
	require.Equal(t, v.Plan, got.Plan)
	var all pages[planItem]
	r.getJSON("/api/v1/plans?building="+url.QueryEscape("A栋"), &all)
	require.Equal(t, []planItem{v.Plan}, all.Items)

	for body, want := range map[string]string{
		`{"by":"li","image":"` + strings.Repeat("0", 64) + `","points":[]}`: "400 bad_field image",
		`{"by":"li","points":[{"device_id":"d1","x":101,"y":0}]}`:           "400 bad_field points",
		`{"points":[]}`: "400 operator_missing by",
	} {
		require.Equal(t, want, r.ask(http.MethodPut, floor, body, "If-Match", `"1"`).code(t), body)
	}
	require.Equal(t, "400 bad_parameter floor", r.ask(http.MethodPut, strings.Replace(floor, "/3/", "/3000/", 1), body, "If-Match", `"0"`).code(t))
}

// TestPictureRunsNothing: a browser shows it as the picture it is, or not at all.
func TestPictureRunsNothing(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	data := append(picture(t, 4), "<script>alert(1)</script>"...) // a picture and a page in one
	up := into[imageAnswer](t, r.ask(http.MethodPost, "/api/v1/images", imageJSON(data)), http.StatusOK)
	sum := sha256.Sum256(data)
	require.Equal(t, hex.EncodeToString(sum[:]), up.Image.ID)
	a := r.get("/api/v1/images/" + up.Image.ID)
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, string(data), a.body)
	require.Equal(t, "image/png", a.header.Get("Content-Type"))
	require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	require.Equal(t, "default-src 'none'; sandbox; frame-ancestors 'none'", a.header.Get("Content-Security-Policy"))
	tag := a.header.Get("Etag")
	require.Equal(t, `"`+up.Image.ID+`"`, tag)
	require.Contains(t, a.header.Get("Cache-Control"), "immutable")
	a = r.get("/api/v1/images/"+up.Image.ID, "If-None-Match", tag)
	require.Equal(t, http.StatusNotModified, a.status)
	require.Empty(t, a.body)
	r.refused("/api/v1/images/"+strings.Repeat("0", 64), http.StatusNotFound, "document_not_found")
}

func TestWhatIsNoPictureIsRefused(t *testing.T) {
	t.Parallel()
	r := keeping(t)
	bomb := "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x06\x00\x00\x00"
	for name, data := range map[string]string{
		"svg":  `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		"html": "<!doctype html><script>alert(1)</script>",
		"bomb": bomb,
		"none": "",
	} {
		require.Equal(t, "400 bad_field data", r.ask(http.MethodPost, "/api/v1/images", imageJSON([]byte(data))).code(t), name)
	}
	require.Equal(t, "400 bad_field data", r.ask(http.MethodPost, "/api/v1/images", imageJSON(make([]byte, metadata.MaxImage+1))).code(t))
	// Only announced: it is refused, and the connection closed, before the body is read.
	for path, size := range map[string]int{"/api/v1/images": 2 * metadata.MaxImage, "/api/v1/shiftnotes": 100 << 10} {
		a := r.raw("POST "+path, "Content-Type: application/json", fmt.Sprint("Content-Length: ", size))
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status, path)
	}
}

func TestDeviceHasDocumentsAndAPhoto(t *testing.T) {
	t.Parallel()
	r := start(t, withStore(filepath.Join(t.TempDir(), "portal.db")))
	r.storeFilled()
	r.known("d1")
	path := "/api/v1/registry/d1"
	require.Equal(t, http.StatusOK, r.get(path).status, "also within the seconds until the registry has it")
	up := into[imageAnswer](t, r.ask(http.MethodPost, "/api/v1/images", imageJSON(picture(t, 4))), http.StatusOK)
	v := into[registryAnswer](t, r.ask(http.MethodPut, path, `{"by":"li","place":"here","documents":[{"title":"手册","url":"https://example.com/m"}],"photo":"`+up.Image.ID+`"}`, "If-Match", `"0"`), http.StatusOK)
	require.Equal(t, []metadata.Link{{Title: "手册", URL: "https://example.com/m"}}, v.Documents)
	require.Equal(t, up.Image.ID, v.Photo)
	v = into[registryAnswer](t, r.ask(http.MethodPut, path, `{"by":"li","place":"there"}`, "If-Match", `"1"`), http.StatusOK)
	require.Len(t, v.Documents, 1, "left out: they stay")
	require.Equal(t, up.Image.ID, v.Photo)
	v = into[registryAnswer](t, r.ask(http.MethodPut, path, `{"by":"li","documents":[],"photo":""}`, "If-Match", `"2"`), http.StatusOK)
	require.Empty(t, v.Documents)
	require.Empty(t, v.Photo)
	for body, want := range map[string]string{
		`{"by":"li","documents":[{"title":"x","url":"javascript:alert(1)"}]}`: "400 bad_field documents",
		`{"by":"li","photo":"` + strings.Repeat("0", 64) + `"}`:               "400 bad_field photo",
	} {
		require.Equal(t, want, r.ask(http.MethodPut, path, body, "If-Match", `"3"`).code(t))
	}
}
