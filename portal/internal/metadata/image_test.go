package metadata

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pngHeader is a PNG of any size without pixels.
func pngHeader(width, height uint32) []byte {
	ihdr := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	ihdr = append(binary.BigEndian.AppendUint32(ihdr, height), 8, 6, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(ihdr))
}

func webpFile(chunk string, body ...byte) []byte {
	return append([]byte("RIFF\x00\x00\x00\x00WEBP"+chunk+"\x00\x00\x00\x00"), append(body, make([]byte, 16)...)...)
}

func TestImagesAreReadByTheirHeader(t *testing.T) {
	picture := image.NewRGBA(image.Rect(0, 0, 40, 30))
	var asPNG, asJPEG bytes.Buffer
	require.NoError(t, png.Encode(&asPNG, picture))
	require.NoError(t, jpeg.Encode(&asJPEG, picture, nil))
	for name, c := range map[string]struct {
		data []byte
		want Image
	}{
		"png":         {asPNG.Bytes(), Image{Type: "image/png", Width: 40, Height: 30}},
		"jpeg":        {asJPEG.Bytes(), Image{Type: "image/jpeg", Width: 40, Height: 30}},
		"webp":        {webpFile("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 40, 0, 30, 0), Image{Type: "image/webp", Width: 40, Height: 30}},
		"webp, exact": {webpFile("VP8L", 0x2f, 39, 29<<6&0xff, 29>>2, 0), Image{Type: "image/webp", Width: 40, Height: 30}},
		"webp, more":  {webpFile("VP8X", 0, 0, 0, 0, 39, 0, 0, 29, 0, 0), Image{Type: "image/webp", Width: 40, Height: 30}},
		"largest":     {pngHeader(MaxImageSide, MaxImageSide), Image{Type: "image/png", Width: MaxImageSide, Height: MaxImageSide}},
	} {
		got, err := ReadImage(c.data)
		require.NoError(t, err, name)
		c.want.Data = c.data
		require.Equal(t, &c.want, got, name)
		require.Len(t, got.ID(), 64)
		_, err = New(ImageDocument(got.ID()), got)
		require.NoError(t, err)
	}
}

// TestDangerousImagesAreRefused without decoding any.
func TestDangerousImagesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"svg":                {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), "its first bytes are of none of these"},
		"html named png":     {[]byte("<!doctype html><script>alert(1)</script>"), "its first bytes are of none of these"},
		"gif":                {[]byte("GIF89a\x01\x00\x01\x00"), "its first bytes are of none of these"},
		"empty":              {nil, "its first bytes are of none of these"},
		"decompression bomb": {pngHeader(60_000, 60_000), "at most 2000 × 2000 pixels, found 60000 × 60000"},
		"no size":            {webpFile("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 0, 0, 30, 0), "at most 2000 × 2000 pixels, found 0 × 30"},
		"cut off":            {[]byte("\x89PNG\r\n\x1a\n\x00\x00"), "a PNG, JPEG or WebP image"},
		"half a webp":        {[]byte("RIFF\x00\x00\x00\x00WEBPVP8X"), "its WebP header is damaged"},
		"wav":                {webpFile("fmt ", 1), "its WebP header is damaged"},
		"too large":          {append(pngHeader(10, 10), make([]byte, MaxImage)...), "at most 512 KiB"},
	} {
		_, err := ReadImage(c.data)
		require.ErrorIs(t, err, ErrInvalid, name)
		require.ErrorContains(t, err, c.want, name)
	}
}

func FuzzReadImage(f *testing.F) {
	f.Add(pngHeader(10, 10))
	f.Add(webpFile("VP8X", 0, 0, 0, 0, 39, 0, 0, 29, 0, 0))
	f.Add([]byte("\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10\x03"))
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := ReadImage(data)
		if err == nil {
			require.NoError(t, i.Check())
			require.LessOrEqual(t, max(i.Width, i.Height), MaxImageSide)
		}
	})
}

func TestPlansAndLinksHaveLimits(t *testing.T) {
	id := strings.Repeat("0", 64)
	many := make([]Link, MaxLinks+1)
	for name, c := range map[string]struct {
		doc  Document
		want string // "": it is kept
	}{
		"plan":            {&Plan{Building: "A栋", Floor: -1, Image: id, Points: []Point{{"d", 0, 100}, {"e", 50.25, 3}}}, ""},
		"no building":     {&Plan{}, "building: want"},
		"path as image":   {&Plan{Building: "A", Image: "../x"}, "image: want"},
		"outside":         {&Plan{Building: "A", Points: []Point{{"d", 100.1, 3}}}, "points: want"},
		"twice":           {&Plan{Building: "A", Points: []Point{{"d", 1, 3}, {"d", 2, 3}}}, "points: want"},
		"too many":        {&Plan{Building: "A", Points: make([]Point, MaxPoints+1)}, "points: want at most 1000"},
		"links":           {&Facts{DeviceID: "d", Documents: []Link{{"手册", "https://example.com/a?b#c"}, {"x", "http://10.0.0.1:8080/"}}, Photo: id}, ""},
		"script":          {&Facts{DeviceID: "d", Documents: []Link{{"x", "javascript:alert(1)"}}}, "documents/0/url: want an address that begins with http:// or https://"},
		"data":            {&Facts{DeviceID: "d", Documents: []Link{{"x", "data:text/html,x"}}}, "documents/0/url: want"},
		"relative":        {&Facts{DeviceID: "d", Documents: []Link{{"x", "//example.com"}}}, "documents/0/url: want"},
		"password":        {&Facts{DeviceID: "d", Documents: []Link{{"x", "https://a:b@example.com"}}}, "documents/0/url: want"},
		"no title":        {&Facts{DeviceID: "d", Documents: []Link{{"", "https://example.com"}}}, "documents/0/title: want"},
		"too many links":  {&Facts{DeviceID: "d", Documents: many}, "documents: want at most 20"},
		"photo elsewhere": {&Facts{DeviceID: "d", Photo: "https://example.com/x.png"}, "photo: want"},
	} {
		_, err := New("n", c.doc)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid, name)
		require.ErrorContains(t, err, c.want, name)
	}
	require.NotEqual(t, PlanID("A", 11), PlanID("A1", 1))
}
