package metadata

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"image"
	_ "image/jpeg" // for image.DecodeConfig
	_ "image/png"
	"slices"
)

// KindImage is a picture: the plan of a floor, or a photo of a device. It is never changed: its id is that of its
// content, and who shows it names that.
const KindImage Kind = "image"

// Limits of an image.
const (
	MaxImage     = 512 << 10 // bytes
	MaxImageSide = 2000      // pixels
)

// Types are the media types that an image may have. SVG is none of them: it can carry scripts.
var Types = []string{"image/jpeg", "image/png", "image/webp"}

// Image is a picture as it is shown.
type Image struct {
	Type   string `json:"type"`
	Width  int    `json:"width"`  // pixels
	Height int    `json:"height"` // pixels
	Data   []byte `json:"data"`
}

// ReadImage returns data as an image. The type and the size follow from its first bytes, whatever its sender says;
// nothing is decoded, so that no image can take more memory than its file.
func ReadImage(data []byte) (*Image, error) {
	if len(data) > MaxImage {
		return nil, bad("data", "an image of at most %d KiB, found %d", MaxImage>>10, len(data)>>10)
	}
	i := &Image{Data: data}
	var err error
	if i.Type, i.Width, i.Height, err = header(data); err != nil {
		return nil, bad("data", "a PNG, JPEG or WebP image: %v", err)
	}
	return i, i.Check()
}

var errType = errors.New("its first bytes are of none of these")

// header reads the type and the size of an image from its header.
func header(data []byte) (kind string, width, height int, err error) {
	if bytes.HasPrefix(data, []byte("RIFF")) {
		width, height, err = webp(data)
		return "image/webp", width, height, err
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(data))
	if errors.Is(err, image.ErrFormat) {
		err = errType
	}
	return "image/" + format, c.Width, c.Height, err
}

var errWebP = errors.New("its WebP header is damaged")

// webp reads the size from the header of a WebP file (RFC 9649, section 2).
func webp(data []byte) (width, height int, err error) {
	if len(data) < 30 || string(data[8:12]) != "WEBP" {
		return 0, 0, errWebP
	}
	u24 := func(at int) int { return int(data[at]) | int(data[at+1])<<8 | int(data[at+2])<<16 }
	switch at := data[20:]; string(data[12:16]) {
	case "VP8X":
		return u24(24) + 1, u24(27) + 1, nil
	case "VP8L":
		if at[0] != 0x2f {
			return 0, 0, errWebP
		}
		bits := binary.LittleEndian.Uint32(at[1:])
		return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1, nil
	case "VP8 ":
		if !bytes.Equal(at[3:6], []byte{0x9d, 0x01, 0x2a}) {
			return 0, 0, errWebP
		}
		return int(binary.LittleEndian.Uint16(at[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(at[8:]) & 0x3fff), nil
	default:
		return 0, 0, errWebP
	}
}

// ID returns the id of the image: that of its content.
func (i *Image) ID() string {
	sum := sha256.Sum256(i.Data)
	return hex.EncodeToString(sum[:])
}

// ImageDocument is the id of the document of an image. No client can choose it for another.
func ImageDocument(id string) string { return "image." + id }

// Kind implements Document.
func (i *Image) Kind() Kind { return KindImage }

// Index implements Document.
func (i *Image) Index() Index { return Index{} }

// Check implements Document.
func (i *Image) Check() error {
	switch {
	case !slices.Contains(Types, i.Type):
		return bad("data", "a PNG, JPEG or WebP image")
	case len(i.Data) == 0 || len(i.Data) > MaxImage:
		return bad("data", "an image of at most %d KiB", MaxImage>>10)
	case i.Width < 1 || i.Height < 1 || i.Width > MaxImageSide || i.Height > MaxImageSide:
		return bad("data", "an image of at most %d × %d pixels, found %d × %d", MaxImageSide, MaxImageSide, i.Width, i.Height)
	}
	return nil
}

// imageID reports whether id can be that of an image.
func imageID(id string) bool {
	raw, err := hex.DecodeString(id)
	return err == nil && len(raw) == sha256.Size
}
