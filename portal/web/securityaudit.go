package web

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
	"industrial-iot-monitor/portal/internal/people"
)

// newJournal makes the writer of the security audit, which connects when there is something to write.
func (p *Portal) newJournal(o Options) (err error) {
	if o.Audit != nil {
		p.audit = o.Audit
		return nil
	}
	p.journal, err = auditlog.New(auditlog.Options{
		Cluster: o.Config.Cluster, Topic: o.Config.Topics.Specs().Security, Program: "portal", Log: o.Log, Registry: o.Registry,
	})
	p.audit = p.journal
	return err
}

var errNoAudit = refuse(fiber.StatusServiceUnavailable, "audit_unavailable", "the security audit cannot be written, so nothing was changed; try again when Kafka is back")

// record returns one of what an identity does.
func (id identity) record(what securityaudit.What, about, detail string) securityaudit.Record {
	return securityaudit.Record{Who: id.Name, Via: id.Via, Address: id.address, Session: id.session, What: what, About: about, Detail: detail}
}

// administer makes a change by an administrator; without a record of it there is none.
func (p *Portal) administer(id identity, what securityaudit.What, about, detail string, f func(*securityaudit.Record) error) error {
	err := securityaudit.Change(context.Background(), p.audit, id.record(what, about, detail), f)
	if errors.Is(err, securityaudit.ErrUnavailable) {
		return errNoAudit
	}
	return err
}

// noteFirst records the administrator that the configuration adds.
func (p *Portal) noteFirst(name string) {
	p.audit.Note(securityaudit.Record{What: securityaudit.UserAdd, About: name, Detail: "PORTAL_ADMIN_PASSWORD", Outcome: securityaudit.Done})
}

// noteSignIn records a sign-in or an attempt. An unknown name is left out: it may be a password
// in the wrong field, and the record stays for ever.
func (p *Portal) noteSignIn(ctx context.Context, id identity, name string, err error) {
	r := id.record(securityaudit.SignIn, "", "")
	_, early := errors.AsType[*people.DelayedError](err)
	switch {
	case err == nil:
		r.Outcome = securityaudit.Done
	case early, errors.Is(err, people.ErrBusy):
		r.Outcome, r.Who = securityaudit.Delayed, p.people.Known(ctx, name)
	case errors.Is(err, people.ErrWrong):
		r.Outcome, r.Who, r.Reason = securityaudit.Failed, p.people.Known(ctx, name), err.Error()
	default:
		return // the database is away: nothing was decided
	}
	p.audit.Note(r)
}

// noteOIDC records a sign-in at an OpenID provider by what it proved, or why it failed.
func (p *Portal) noteOIDC(ctx context.Context, c *fiber.Ctx, credential string, failed error) {
	id := identity{Via: people.ViaOIDC}
	if failed == nil {
		id, _ = p.proved(ctx, credential, people.KindSession, true) // if not, the next request says why
	}
	id.address = p.address(c)
	r := id.record(securityaudit.SignIn, "", "")
	if r.Outcome = securityaudit.Done; failed != nil {
		r.Outcome, r.Reason = securityaudit.Failed, failed.Error()
	}
	p.audit.Note(r)
}

// noteOwn records what people do with their own sessions and password.
func (p *Portal) noteOwn(id identity, what securityaudit.What, detail string, err error) {
	r := id.record(what, id.Name, detail)
	if r.Outcome = securityaudit.Done; err != nil {
		r.Outcome, r.Reason = securityaudit.Failed, err.Error()
	}
	p.audit.Note(r)
}

// noteRefused records what a known person or program may not do; looking at something is left out.
func (p *Portal) noteRefused(id identity, command string, e *apiError) {
	if e.status != fiber.StatusForbidden || e.body.Code != "forbidden" || id.Name == "" || id.Via == "" {
		return
	}
	r := id.record(securityaudit.Command, command, "")
	r.Outcome, r.Reason = securityaudit.Refused, fmt.Sprintf("not permitted to a %s", id.Role)
	p.audit.Note(r)
}

// commandOf names what a request asks for by its route: paths are a caller's.
func commandOf(c *fiber.Ctx) string { return c.Method() + " " + strings.Clone(c.Route().Path) }
