package web

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/feed"
	"industrial-iot-monitor/portal/internal/metadata"
	"industrial-iot-monitor/portal/internal/store"
)

// registryItem is a device that was ever seen.
type registryItem struct {
	DeviceID    string   `json:"device_id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Building    string   `json:"building"`
	Floor       int      `json:"floor"`
	Room        string   `json:"room"`
	Model       string   `json:"model"`
	Firmware    string   `json:"firmware"`
	Gateway     string   `json:"gateway"`
	FirstSeen   int64    `json:"first_seen"`   // ms since 1970
	SeenAt      int64    `json:"seen_at"`      // ms since 1970, right to a day
	DescribedAt int64    `json:"described_at"` // ms since 1970, when an operator last wrote name, description or tags; 0: never
	DescribedBy string   `json:"described_by"`
	RemovedAt   *int64   `json:"removed_at"` // ms since 1970; null: it is there
	// RemovedBy is the operator, empty if it was forgotten after a long silence.
	RemovedBy string `json:"removed_by"`
	// Place and ExpectedIntervalS are what operators wrote; core does not use them.
	Place             string `json:"place"`
	ExpectedIntervalS int64  `json:"expected_interval_s"` // 0: unknown
}

func registryOf(d *store.Device) registryItem {
	out := registryItem{
		DeviceID: d.ID, Name: d.Name, Description: d.Description, Tags: append([]string{}, d.Tags...), Building: d.Building, Floor: d.Floor, Room: d.Room,
		Model: d.Model, Firmware: d.Firmware, Gateway: d.Gateway, FirstSeen: d.FirstSeen, SeenAt: d.SeenAt, DescribedAt: d.DescribedAt, DescribedBy: d.DescribedBy,
		RemovedBy: d.RemovedBy, Place: d.Place, ExpectedIntervalS: d.ExpectedIntervalS,
	}
	if d.RemovedAt != 0 {
		out.RemovedAt = &d.RemovedAt
	}
	return out
}

// registryAnswer is one device of the registry. Version is that of place and expected_interval_s, 0 if
// nobody wrote them yet.
type registryAnswer struct {
	Time      int64           `json:"time"`
	Version   int64           `json:"version"`
	Device    registryItem    `json:"device"`
	Documents []metadata.Link `json:"documents"` // elsewhere; at most 20
	Photo     string          `json:"photo"`     // id of an image, empty for none
}

// factsBody is what operators know of a device.
type factsBody struct {
	By                string `json:"by"`                  // operator; see access.go
	Place             string `json:"place"`               // where exactly it is installed
	ExpectedIntervalS int64  `json:"expected_interval_s"` // how often it should send; 0: unknown
	// Documents and Photo stay as they are if they are left out.
	Documents *[]metadata.Link `json:"documents"`
	Photo     *string          `json:"photo"` // id of an image, empty for none
}

func parseRegistry(c *fiber.Ctx) (*store.RegistryQuery, error) {
	r := parser{get: func(name string) string { return c.Query(name) }}
	q := &store.RegistryQuery{
		Building: strings.Clone(c.Query("building")), Text: strings.ToLower(strings.Clone(c.Query("q"))), From: r.time("from"), To: r.time("to"),
	}
	if r.err != nil {
		return nil, r.err
	}
	word, err := oneOf(c, "removed", "true", "false")
	if err != nil {
		return nil, err
	}
	if word != "" {
		removed := word == "true"
		q.Removed = &removed
	}
	return q, nil
}

func (p *Portal) listRegistry(c *fiber.Ctx) error {
	q, err := parseRegistry(c)
	if err != nil {
		return err
	}
	return listPage(p, c, func(ctx context.Context, at store.Page) (store.List[*store.Device], error) {
		return p.store.Devices(ctx, q, at)
	}, registryOf)
}

var (
	registryHead = []string{
		"device_id", "name", "building", "floor", "room", "model", "firmware", "gateway", "tags", "description", "place", "expected_interval_s", "first_seen",
		"seen_at", "removed_at", "removed_by",
	}
	registryHeadChinese = []string{
		"设备", "名称", "建筑", "楼层", "房间", "型号", "固件", "网关", "标签", "说明", "安装位置", "应有间隔(秒)", "首次出现", "最近出现", "移除时间", "移除人",
	}
)

func (p *Portal) exportRegistry(c *fiber.Ctx) error {
	q, err := parseRegistry(c)
	if err != nil {
		return err
	}
	return p.exportPast(c, "registry.csv", registryHead, registryHeadChinese, func(ctx context.Context, write func([]string) error) error {
		return p.store.EachDevice(ctx, q, func(d *store.Device) error { return write(registryRow(d)) })
	})
}

func registryRow(d *store.Device) []string {
	removed := ""
	if d.RemovedAt != 0 {
		removed = moment(d.RemovedAt)
	}
	return []string{
		d.ID, d.Name, d.Building, strconv.Itoa(d.Floor), d.Room, d.Model, d.Firmware, d.Gateway, strings.Join(d.Tags, ", "), d.Description, d.Place,
		strconv.FormatInt(d.ExpectedIntervalS, 10), moment(d.FirstSeen), moment(d.SeenAt), removed, d.RemovedBy,
	}
}

// inRegistry returns a device of the registry.
func (p *Portal) inRegistry(c *fiber.Ctx, id string) (*store.Device, error) {
	if p.store == nil {
		return nil, errNoStore
	}
	d, err := p.store.Device(c.UserContext(), id)
	if errors.Is(err, store.ErrNoDocument) {
		return p.unregistered(id)
	}
	if err != nil {
		return nil, p.noStore(err)
	}
	return d, nil
}

// unregistered returns a device that the registry has within seconds.
func (p *Portal) unregistered(id string) (out *store.Device, err error) {
	err = errNoDevice
	p.model.View(func() {
		if d := p.model.Device(id); d != nil {
			row := feed.Registered(d, p.model.Now())
			out, err = &row, nil
		}
	})
	return out, err
}

func (p *Portal) getRegistered(c *fiber.Ctx) error {
	id := strings.Clone(c.Params("id"))
	d, err := p.inRegistry(c, id)
	if err != nil {
		return err
	}
	facts, err := p.facts(c, id)
	if err != nil {
		return err
	}
	setVersion(c, facts.Version)
	return c.JSON(registered(p.model.Now(), facts, d))
}

// facts returns the document of what operators know of a device, with version 0 if there is none.
func (p *Portal) facts(c *fiber.Ctx, device string) (*store.Document, error) {
	id := metadata.FactsID(device)
	d, err := p.store.Document(c.UserContext(), metadata.KindDevice, id)
	if errors.Is(err, store.ErrNoDocument) {
		return &store.Document{ID: id, Kind: metadata.KindDevice}, nil
	}
	if err != nil {
		return nil, p.noStore(err)
	}
	return d, nil
}

func (p *Portal) writeFacts(c *fiber.Ctx) error {
	var b factsBody
	by, err := decodeBy(c, &b, &b.By)
	if err != nil {
		return err
	}
	version, err := ifMatch(c)
	if err != nil {
		return err
	}
	id := strings.Clone(c.Params("id"))
	device, err := p.inRegistry(c, id)
	if err != nil {
		return err
	}
	before, err := p.facts(c, id)
	if err != nil {
		return err
	}
	if before.Version != version {
		return errChanged(before)
	}
	next := &metadata.Facts{DeviceID: id, Place: b.Place, ExpectedIntervalS: b.ExpectedIntervalS}
	if was, ok := before.Doc.(*metadata.Facts); ok {
		next.Documents, next.Photo = was.Documents, was.Photo
	}
	if b.Documents != nil {
		next.Documents = *b.Documents
	}
	if b.Photo != nil && *b.Photo != next.Photo {
		if next.Photo = *b.Photo; next.Photo != "" {
			if err := p.checkImage(c, "photo", next.Photo); err != nil {
				return err
			}
		}
	}
	d, outcome, err := p.update(before, by, next, false)
	device.Place, device.ExpectedIntervalS = b.Place, b.ExpectedIntervalS
	return p.answerChange(c, d, outcome, err, func(at changed, d *store.Document) any { return registered(at.Time, d, device) })
}

// registered is the answer about a device, whose facts are a document.
func registered(now int64, facts *store.Document, d *store.Device) registryAnswer {
	out := registryAnswer{Time: now, Version: facts.Version, Device: registryOf(d), Documents: []metadata.Link{}}
	if f, ok := facts.Doc.(*metadata.Facts); ok {
		out.Documents, out.Photo = append(out.Documents, f.Documents...), f.Photo
	}
	return out
}
