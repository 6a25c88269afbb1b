// Package admin is what platform engineers run beside a portal: "portal user" says who may sign in, "portal
// token" which programs may use the API, and "portal audit verify" whether the security audit is as it was written. The first two
// write into the portal's database, and running portals follow
// within a second; they change nothing that the security audit does not have. Commands block until Kafka and the database
// have answered.
package admin

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
	"industrial-iot-monitor/portal/internal/people"
	"industrial-iot-monitor/portal/internal/store"
	"industrial-iot-monitor/portal/web"
)

// within bounds a command but for the reading of the audit, which is as long as it is.
const within = 30 * time.Second

const usage = `usage:
  portal user add NAME -role viewer|operator|engineer|admin   the password is the first line of the input
  portal user role NAME -role ROLE
  portal user passwd NAME                                     likewise; who is signed in as NAME is signed out
  portal user disable NAME                                    they are signed out everywhere
  portal user enable NAME
  portal user list
  portal token add NAME -role ROLE [-ttl 90d] [-act-as]       prints the token, once; -act-as: it may name the person for whom it acts
  portal token revoke ID
  portal token list
  portal audit verify                                         code 1: records of the security audit were changed, removed or doubled
The database is that of PORTAL_STORE or DATABASE_URL, the security audit is in Kafka.
`

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// tool is one command.
type tool struct {
	Streams

	people *people.Directory
	audit  *auditlog.Shell
	by     string
	place  string // of the database
}

// settings are where a command finds what it needs.
type settings struct {
	store   store.Options
	cluster kafka.Cluster
	topic   kafka.Topic // of the security audit
}

// Command is "portal user", "portal token" or "portal audit"; it returns the exit code.
func Command(ctx context.Context, args []string, s Streams) int {
	var cfg web.Config
	if err := config.FromEnvironment(&cfg); err != nil {
		fmt.Fprintln(s.Err, "portal:", err)
		return 2
	}
	return run(ctx, settings{store.Options{Path: cfg.StorePath, URL: cfg.DatabaseURL}, cfg.Open(), cfg.Specs().Security}, args, s)
}

func run(ctx context.Context, o settings, args []string, s Streams) int {
	t := &tool{Streams: s}
	do := func() error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		return t.withAudit(ctx, o, func() error { return t.run(ctx, args) })
	}
	if len(args) > 0 && args[0] == "audit" {
		do = func() error { return t.verify(ctx, o, args[1:]) }
	}
	switch err := do(); {
	case errors.Is(err, program.ErrUsage):
		fmt.Fprint(s.Err, usage)
		return 2
	case err != nil:
		fmt.Fprintln(s.Err, "portal:", err)
		return 1
	}
	return 0
}

// withAudit calls f while the database is open, and writes the rest of what is to be recorded.
func (t *tool) withAudit(ctx context.Context, o settings, f func() error) (err error) {
	if t.audit, err = auditlog.NewShell("portal", o.cluster, o.topic); err != nil {
		return err
	}
	t.by = t.audit.By()
	err = t.withPeople(ctx, o.store, f)
	return errors.Join(err, t.audit.End(ctx))
}

// withPeople calls f while the database is open.
func (t *tool) withPeople(ctx context.Context, o store.Options, f func() error) (err error) {
	t.place = "PORTAL_STORE=" + o.Path
	if o.URL != "" {
		o.Path, t.place = "", "DATABASE_URL"
	}
	if o.URL == "" && o.Path == "" {
		return errors.New("PORTAL_STORE and DATABASE_URL are empty: there is no database")
	}
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	o.Log, o.Registry = log, reg
	s, err := store.New(o)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	for s.Up() != nil {
		if !lifecycle.Pause(ctx, 10*time.Millisecond) {
			return s.Up()
		}
	}
	if t.people, err = people.New(people.Options{Store: s.People(), Log: log, Registry: reg}); err != nil {
		return err
	}
	return f()
}

func (t *tool) run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, []string) error{
		"user add": t.addUser, "user role": t.setRole, "user passwd": t.setPassword, "user disable": t.disable(true), "user enable": t.disable(false), "user list": t.listUsers,
		"token add": t.addToken, "token revoke": t.revokeToken, "token list": t.listTokens,
	}
	return program.Subcommand(ctx, commands, args)
}

// withRole reads a name, its role, and the other flags.
func withRole(flags *flag.FlagSet, args []string) (name string, role people.Role, err error) {
	text := flags.String("role", "", "")
	if name, err = program.NameAndFlags(flags, args); err == nil && *text == "" {
		err = program.ErrUsage
	}
	return name, people.Role(*text), err
}

func (t *tool) addUser(ctx context.Context, args []string) error {
	name, role, err := withRole(flag.NewFlagSet("add", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	password, err := t.password()
	if err != nil {
		return err
	}
	err = t.audit.Change(ctx, securityaudit.UserAdd, name, string(role), func(*securityaudit.Record) error {
		return t.people.AddUser(ctx, t.by, name, role, password)
	})
	if err == nil {
		fmt.Fprintf(t.Err, "%s may sign in as %s, at portals with %s.\n", name, role, t.place)
	}
	return err
}

func (t *tool) setRole(ctx context.Context, args []string) error {
	name, role, err := withRole(flag.NewFlagSet("role", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	return t.change(ctx, name, people.Change{Role: &role})
}

func (t *tool) setPassword(ctx context.Context, args []string) error {
	name, err := program.NameAndFlags(flag.NewFlagSet("passwd", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	password, err := t.password()
	if err != nil {
		return err
	}
	return t.change(ctx, name, people.Change{Password: &password})
}

func (t *tool) disable(disabled bool) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		name, err := program.NameAndFlags(flag.NewFlagSet("disable", flag.ContinueOnError), args)
		if err != nil {
			return err
		}
		return t.change(ctx, name, people.Change{Disabled: &disabled})
	}
}

func (t *tool) change(ctx context.Context, name string, c people.Change) error {
	err := t.audit.Change(ctx, securityaudit.UserChange, name, c.String(), func(*securityaudit.Record) error { return t.people.ChangeUser(ctx, t.by, name, c) })
	if errors.Is(err, people.ErrUnknown) {
		return fmt.Errorf("there is no %q; portal user list shows all", name)
	}
	return err
}

func (t *tool) listUsers(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return program.ErrUsage
	}
	all, err := t.people.Users(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"NAME", "ROLE", "STATE", "SIGNED IN", "ADDED BY"}}
	for i := range all {
		u := &all[i]
		state := "enabled"
		if u.Disabled {
			state = "disabled"
		}
		rows = append(rows, []string{u.Name, string(u.Role), state, day(u.SignedInAt), u.CreatedBy})
	}
	return t.table(rows)
}

func (t *tool) addToken(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("add", flag.ContinueOnError)
	actAs := flags.Bool("act-as", false, "")
	ttl := config.Age(90 * 24 * time.Hour)
	flags.Func("ttl", "", func(text string) error { return ttl.UnmarshalText([]byte(text)) })
	name, role, err := withRole(flags, args)
	if err != nil {
		return err
	}
	n := people.NewToken{Name: name, Role: role, TTL: time.Duration(ttl), ActsAs: *actAs}
	var secret string
	var token people.Token
	err = t.audit.Change(ctx, securityaudit.TokenAdd, name, n.String(), func(r *securityaudit.Record) (err error) {
		secret, token, err = t.people.AddToken(ctx, t.by, n)
		r.Detail += ", id " + token.ID
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(t.Out, secret)
	fmt.Fprintf(t.Err, "Token %s of %s, %s until %s, for portals with %s. It is not shown again.\n", token.ID, name, role, day(token.ExpiresAt), t.place)
	return nil
}

func (t *tool) revokeToken(ctx context.Context, args []string) error {
	id, err := program.NameAndFlags(flag.NewFlagSet("revoke", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	err = t.audit.Change(ctx, securityaudit.TokenRevoke, id, "", func(*securityaudit.Record) error { return t.people.RevokeToken(ctx, t.by, id) })
	if errors.Is(err, people.ErrUnknown) {
		return fmt.Errorf("there is no token %q; portal token list shows all", id)
	}
	return err
}

func (t *tool) listTokens(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return program.ErrUsage
	}
	all, err := t.people.Tokens(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"ID", "NAME", "ROLE", "STATE", "UNTIL", "USED", "ADDED BY"}}
	for i := range all {
		k := &all[i]
		state := "valid"
		switch {
		case k.RevokedAt != 0:
			state = "revoked"
		case k.ExpiresAt <= time.Now().UnixMilli():
			state = "expired"
		}
		rows = append(rows, []string{k.ID, k.Name, string(k.Role), state, day(k.ExpiresAt), day(k.UsedAt), k.CreatedBy})
	}
	return t.table(rows)
}

// day returns a time to the minute.
func day(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return time.UnixMilli(ms).Format("2006-01-02 15:04")
}

func (t *tool) table(rows [][]string) error {
	w := tabwriter.NewWriter(t.Out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}
