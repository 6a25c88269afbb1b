package web

import (
	"errors"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/store"
)

// imagesPath is where images are uploaded.
const imagesPath = "/api/v1/images"

// imageBody is an image to keep.
type imageBody struct {
	By   string `json:"by"`   // operator; see access.go
	Data []byte `json:"data"` // base64
}

// imageItem is what is known of an image.
type imageItem struct {
	ID     string `json:"id"` // SHA-256 of its bytes: another image has another id
	Type   string `json:"type"`
	Width  int    `json:"width"`  // pixels
	Height int    `json:"height"` // pixels
	Bytes  int    `json:"bytes"`
}

type imageAnswer struct {
	changed

	Image imageItem `json:"image"`
}

// uploadImage handles POST /api/v1/images.
func (p *Portal) uploadImage(c *fiber.Ctx) error {
	var b imageBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	image, err := metadata.ReadImage(b.Data)
	if err != nil {
		return notKept(err)
	}
	outcome, err := p.keepImage(c, image, by)
	if err != nil {
		return err
	}
	if outcome == changePending {
		c.Status(fiber.StatusAccepted)
	}
	return c.JSON(imageAnswer{changed{p.model.Now(), outcome}, imageItem{image.ID(), image.Type, image.Width, image.Height, len(image.Data)}})
}

// keepImage keeps an image, unless it is there already: then nobody changes anything.
func (p *Portal) keepImage(c *fiber.Ctx, image *metadata.Image, by string) (outcome string, err error) {
	id := metadata.ImageDocument(image.ID())
	if _, err := p.document(c, metadata.KindImage, id); !errors.Is(err, errNoDocument) {
		return changeSaved, err
	}
	_, outcome, err = p.update(&store.Document{ID: id, Kind: metadata.KindImage}, by, image, false)
	if conflict(err) { // somebody else sent it at the same time
		return changeSaved, nil
	}
	return outcome, err
}

// getImage handles GET /api/v1/images/{id}. What an id names never changes. The browser shows it as an image or not
// at all: it runs nothing and asks for nothing from there.
func (p *Portal) getImage(c *fiber.Ctx) error {
	id := strings.Clone(c.Params("id"))
	tag := strconv.Quote(id)
	d, err := p.document(c, metadata.KindImage, metadata.ImageDocument(id))
	if err != nil {
		return err
	}
	image, ok := d.Doc.(*metadata.Image)
	if !ok {
		return errNoDocument
	}
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderCacheControl, "private, max-age=31536000, immutable")
	if c.Get(fiber.HeaderIfNoneMatch) == tag {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; sandbox; frame-ancestors 'none'")
	c.Set(fiber.HeaderContentDisposition, "inline")
	c.Set(fiber.HeaderContentType, image.Type)
	return c.Send(image.Data)
}

// checkImage refuses the id of an image that is not kept.
func (p *Portal) checkImage(c *fiber.Ctx, field, id string) error {
	_, err := p.document(c, metadata.KindImage, metadata.ImageDocument(id))
	if errors.Is(err, errNoDocument) {
		return badField(field, "the id of an image that was uploaded")
	}
	return err
}

// planItem is the plan of a floor. Version is 0 while nobody made one.
type planItem struct {
	Building  string           `json:"building"`
	Floor     int              `json:"floor"`
	Version   int64            `json:"version"`
	ChangedAt int64            `json:"changed_at"` // ms since 1970
	ChangedBy string           `json:"changed_by"`
	Image     string           `json:"image"` // id of the picture, empty for none
	Points    []metadata.Point `json:"points"`
}

func planOf(d *store.Document) planItem {
	out := planItem{Version: d.Version, ChangedAt: d.ChangedAt, ChangedBy: d.ChangedBy, Points: []metadata.Point{}}
	if plan, ok := d.Doc.(*metadata.Plan); ok {
		out.Building, out.Floor, out.Image, out.Points = plan.Building, plan.Floor, plan.Image, append(out.Points, plan.Points...)
	}
	return out
}

// planAnswer is one plan, or what a change made of it.
type planAnswer struct {
	Time int64    `json:"time"`
	Plan planItem `json:"plan"`
}

type planChange struct {
	changed

	Plan planItem `json:"plan"`
}

// planBody replaces a plan.
type planBody struct {
	By     string           `json:"by"`     // operator; see access.go
	Image  string           `json:"image"`  // id of the picture, empty for none
	Points []metadata.Point `json:"points"` // at most 1,000
}

func (p *Portal) listPlans(c *fiber.Ctx) error {
	q := &store.DocumentQuery{Kind: metadata.KindPlan, Subject: strings.Clone(c.Query("building"))}
	return listDocuments(p, c, q, planOf)
}

// floorOf reads the floor that a path names.
func floorOf(c *fiber.Ctx) (building string, floor int, err error) {
	building, err = url.PathUnescape(strings.Clone(c.Params("name")))
	if err != nil {
		return "", 0, badParameter("name", "a name, percent-encoded")
	}
	floor, err = strconv.Atoi(c.Params("floor"))
	if err != nil || floor < -1000 || floor > 1000 {
		return "", 0, badParameter("floor", "a number from -1000 to 1000")
	}
	return building, floor, nil
}

// planAt returns the plan of a floor, with version 0 if there is none.
func (p *Portal) planAt(c *fiber.Ctx, building string, floor int) (*store.Document, error) {
	id := metadata.PlanID(building, floor)
	d, err := p.document(c, metadata.KindPlan, id)
	if errors.Is(err, errNoDocument) {
		return &store.Document{ID: id, Kind: metadata.KindPlan, Doc: &metadata.Plan{Building: building, Floor: floor}}, nil
	}
	return d, err
}

// getPlan handles GET /api/v1/buildings/{name}/floors/{floor}/plan.
func (p *Portal) getPlan(c *fiber.Ctx) error {
	building, floor, err := floorOf(c)
	if err != nil {
		return err
	}
	d, err := p.planAt(c, building, floor)
	if err != nil {
		return err
	}
	setVersion(c, d.Version)
	return c.JSON(planAnswer{p.model.Now(), planOf(d)})
}

// writePlan handles PUT /api/v1/buildings/{name}/floors/{floor}/plan.
func (p *Portal) writePlan(c *fiber.Ctx) error {
	building, floor, err := floorOf(c)
	if err != nil {
		return err
	}
	var b planBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	version, err := ifMatch(c)
	if err != nil {
		return err
	}
	before, err := p.planAt(c, building, floor)
	if err != nil {
		return err
	}
	if before.Version != version {
		return errChanged(before)
	}
	plan := &metadata.Plan{Building: building, Floor: floor, Image: b.Image, Points: append([]metadata.Point{}, b.Points...)}
	for i := range plan.Points {
		at := &plan.Points[i]
		at.X, at.Y = math.Round(at.X*100)/100, math.Round(at.Y*100)/100
	}
	if was, ok := before.Doc.(*metadata.Plan); b.Image != "" && (!ok || was.Image != b.Image) {
		if err := p.checkImage(c, "image", b.Image); err != nil {
			return err
		}
	}
	d, outcome, err := p.update(before, by, plan, false)
	return p.answerChange(c, d, outcome, err, func(at changed, d *store.Document) any { return planChange{at, planOf(d)} })
}
