package metadata

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
)

// KindPlan is the plan of a floor.
const KindPlan Kind = "plan"

// MaxPoints bounds the devices on a plan.
const MaxPoints = 1000

// Plan is where the devices of a floor are on its picture.
type Plan struct {
	Building string  `json:"building"`
	Floor    int     `json:"floor"`
	Image    string  `json:"image,omitempty"` // id of the picture, empty for none
	Points   []Point `json:"points"`
}

// Point is the place of a device in percent of the picture's width and height, from the top left.
type Point struct {
	DeviceID string  `json:"device_id"`
	X        float64 `json:"x"`
	Y        float64 `json:"y"`
}

// PlanID is the id of the document with the plan of a floor. No client can choose it for another.
func PlanID(building string, floor int) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(floor) + "\x00" + building))
	return "plan." + hex.EncodeToString(sum[:16])
}

// Kind implements Document.
func (p *Plan) Kind() Kind { return KindPlan }

// Index implements Document.
func (p *Plan) Index() Index { return Index{Subject: p.Building, Texts: []string{p.Building}} }

// Check implements Document.
func (p *Plan) Check() error {
	switch {
	case p.Building == "" || !line(p.Building, MaxBuilding):
		return bad("building", "a name of 1 to %d bytes in one line", MaxBuilding)
	case p.Image != "" && !imageID(p.Image):
		return bad("image", "the id of an image")
	case len(p.Points) > MaxPoints:
		return bad("points", "at most %d, found %d", MaxPoints, len(p.Points))
	}
	seen := make(map[string]bool, len(p.Points))
	for _, at := range p.Points {
		inside := at.X >= 0 && at.X <= 100 && at.Y >= 0 && at.Y <= 100
		if !legalID.MatchString(at.DeviceID) || !inside || seen[at.DeviceID] {
			return bad("points", "each device once, with x and y from 0 to 100, found %q at %v, %v", at.DeviceID, at.X, at.Y)
		}
		seen[at.DeviceID] = true
	}
	return nil
}

// Limits of links, in bytes.
const (
	MaxLinks = 20
	maxTitle = 128
	maxURL   = 1024
)

// Link leads to a document elsewhere.
type Link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// checkLinks allows http and https alone: a browser runs what other addresses carry.
func checkLinks(links []Link) error {
	if len(links) > MaxLinks {
		return bad("documents", "at most %d, found %d", MaxLinks, len(links))
	}
	for i, l := range links {
		field := "documents/" + strconv.Itoa(i)
		if l.Title == "" || !line(l.Title, maxTitle) {
			return bad(field+"/title", "1 to %d bytes in one line without spaces around", maxTitle)
		}
		u, err := url.Parse(l.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || !line(l.URL, maxURL) {
			return bad(field+"/url", "an address that begins with http:// or https://, without a name and password, of at most %d bytes", maxURL)
		}
	}
	return nil
}
