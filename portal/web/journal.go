package web

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/portal/internal/state"
	"industrial-iot-monitor/portal/internal/store"
)

// past is what answers from the database say of themselves.
type past struct {
	// More: there are more than total, which counts to 1,000.
	More bool `json:"more"`
	// Complete: nothing older is missing. Else the database is away or still reads what Kafka has, or there
	// is none, and the answer is from what is in memory.
	Complete bool `json:"complete"`
}

// journal are alarms, the newest raised first.
type journal struct {
	list[alertJSON]
	past
}

// listJournal returns the alarms of a time.
func (p *Portal) listJournal(c *fiber.Ctx) error {
	at, err := readPaging(c)
	if err != nil {
		return err
	}
	f, err := parseFilter(func(name string) string { return c.Query(name) })
	if err != nil {
		return err
	}
	out := journal{list: list[alertJSON]{Offset: at.Offset, Time: p.model.Now(), Items: []alertJSON{}}}
	found, err := ask(p, at, func() (store.List[*state.Alert], error) {
		return p.store.Journal(c.UserContext(), f.journal(strings.Clone(c.Query("rule"))), store.Page(at))
	}, func() []*state.Alert { return p.journalInMemory(&f, c.Query("rule")) })
	if err != nil {
		return err
	}
	for _, a := range found.Items {
		out.Items = append(out.Items, a.Raw)
	}
	out.Total, out.Count, out.past = found.Total, len(out.Items), found.past
	return c.JSON(out)
}

// journal returns the filter as a question to the database.
func (f *alertFilter) journal(rule string) *store.JournalQuery {
	return &store.JournalQuery{
		Device: f.device, Building: f.building, Floor: f.floor, Rule: rule, AlertTypes: f.types, Severities: f.severities, States: f.states,
		Sources: f.sources, Text: f.text, From: f.from, To: f.to,
	}
}

// journalInMemory returns what the portal remembers of the journal.
func (p *Portal) journalInMemory(f *alertFilter, rule string) []*state.Alert {
	anyTime := *f
	anyTime.from, anyTime.to = 0, 0
	found := slices.DeleteFunc(p.find(&anyTime), func(a *state.Alert) bool {
		end, over := a.Over()
		return rule != "" && a.Rule != rule || f.to != 0 && a.RaisedAt >= f.to || over && end < f.from
	})
	slices.SortFunc(found, func(a, b *state.Alert) int {
		return cmp.Or(cmp.Compare(b.RaisedAt, a.RaisedAt), strings.Compare(b.AlertID, a.AlertID))
	})
	return found
}

// found is a part of a list of the past.
type found[T any] struct {
	Items []T
	Total int
	past
}

// ask returns a part of the past: from the database, and while that is away from memory.
func ask[T any](p *Portal, at paging, stored func() (store.List[T], error), memory func() []T) (found[T], error) {
	if p.store != nil {
		if err := at.within(); err != nil {
			return found[T]{}, err
		}
		l, err := stored()
		if err == nil {
			return found[T]{l.Items, l.Total, past{More: l.More, Complete: !p.feed.StoreBehind()}}, nil
		}
		if !errors.Is(err, store.ErrUnavailable) {
			return found[T]{}, p.noStore(err)
		}
	}
	all := memory()
	return found[T]{part(all, at), len(all), past{}}, nil
}

// within returns an error if the database does not go as far back as that.
func (at paging) within() error {
	if at.Offset > store.MaxOffset {
		return badParameter("offset", fmt.Sprintf("at most %d; a shorter time, from and to, finds what is behind it", store.MaxOffset))
	}
	return nil
}

// noStore returns what a client is told of an error of the database.
func (p *Portal) noStore(err error) error {
	switch {
	case errors.Is(err, store.ErrSlow):
		return errStoreSlow
	case errors.Is(err, store.ErrUnavailable):
		return errStoreAway
	}
	return err
}

var (
	errNoStore   = refuse(fiber.StatusServiceUnavailable, "store_off", "this portal keeps no past: PORTAL_STORE and DATABASE_URL are empty")
	errStoreAway = refuse(fiber.StatusServiceUnavailable, "store_unavailable", "the portal's database gives no answer; see the portal's log")
	errStoreSlow = refuse(fiber.StatusServiceUnavailable, "store_slow", "the database took too long: ask for a shorter time, or for one device or building")
)

// pastAlert returns an alarm that memory has no longer, nil if nobody knows it.
func (p *Portal) pastAlert(c *fiber.Ctx, id string) (*state.Alert, error) {
	if p.store == nil {
		return nil, nil //nolint:nilnil // nobody knows it
	}
	a, err := p.store.Alarm(c.UserContext(), id)
	if errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrUnavailable) {
		return nil, nil //nolint:nilnil // likewise
	}
	if err != nil {
		return nil, p.noStore(err)
	}
	return a, nil
}

// storeState is the portal's database.
type storeState struct {
	// Up: it answers.
	Up bool `json:"up"`
	// Behind: it lacks records that Kafka has, or may.
	Behind bool `json:"behind"`
}

func (p *Portal) storeState() *storeState {
	if p.store == nil {
		return nil
	}
	return &storeState{Up: p.store.Up() == nil, Behind: p.feed.StoreBehind()}
}
