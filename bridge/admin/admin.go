// Package admin is what platform engineers run beside a bridge: "bridge gateway" says which gateways
// may connect to the hub, "bridge client" which programs. It writes records (package access) to Kafka,
// which the bridge follows, and changes nothing that the security audit does not have. Commands block until Kafka
// has both.
package admin

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"industrial-iot-monitor/bridge/internal/records"
	"industrial-iot-monitor/internal/access"
	"industrial-iot-monitor/internal/ca"
	"industrial-iot-monitor/internal/config"
	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/kafka"
	"industrial-iot-monitor/internal/program"
	"industrial-iot-monitor/internal/securityaudit"
	"industrial-iot-monitor/internal/securityaudit/auditlog"
	"industrial-iot-monitor/internal/telemetry"
	"industrial-iot-monitor/internal/topology"
)

// kafkaTimeout bounds a command.
const kafkaTimeout = 30 * time.Second

// Config is the environment of the commands.
type Config struct {
	LeafURL string `env:"BRIDGE_LEAF_URL" envDefault:"nats-leaf://127.0.0.1:7422" help:"URL by which gateways reach the hub, for the claims that bridge gateway add prints"`
	CAFile  string `env:"BRIDGE_TLS_CA_FILE" help:"PEM file of the certificate that the hub's is signed by (ca.pem of bridge ca init): the claims hold its hash, so that a gateway trusts no other one; empty: the hub has no TLS"`

	kafka.Config
	topology.Topics
}

// tool is one command.
type tool struct {
	out, errs io.Writer
	store     *records.Store
	cfg       Config
	now       time.Time
	by        string
	audit     *auditlog.Shell
}

// Command is "bridge gateway" or "bridge client"; it returns the exit code.
func Command(ctx context.Context, args []string, out, errs io.Writer) int {
	var cfg Config
	err := config.FromEnvironment(&cfg)
	if err == nil {
		err = errors.Join(cfg.Config.Check(), cfg.Topics.Check())
	}
	if err != nil {
		fmt.Fprintln(errs, "bridge:", err)
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	t, err := newTool(cfg, out, errs)
	if err == nil {
		err = errors.Join(t.run(ctx, args), t.audit.End(ctx))
	}
	switch {
	case errors.Is(err, program.ErrUsage):
		fmt.Fprint(errs, usage)
		return 2
	case err != nil:
		fmt.Fprintln(errs, "bridge:", err)
		return 1
	}
	return 0
}

func newTool(cfg Config, out, errs io.Writer) (*tool, error) {
	audit, err := auditlog.NewShell("bridge", cfg.Cluster, cfg.Specs().Security)
	if err != nil {
		return nil, err
	}
	return &tool{
		out: out, errs: errs, cfg: cfg, now: time.Now(), by: audit.By(), audit: audit,
		store: &records.Store{Cluster: cfg.Cluster, Topic: cfg.Specs().Access, Log: slog.New(slog.DiscardHandler)},
	}, nil
}

const usage = `usage:
  bridge gateway add ID [-building NAME] [-ttl 24h]   prints the line that enrols a gateway, once
  bridge gateway rotate ID [-ttl 24h] [-keep 24h]     the same for a new key; the old one holds for -keep
  bridge gateway revoke ID                            its line is cut, its packs stay on its disk
  bridge gateway list
  bridge client add NAME -role bridge|core|portal [-out FILE]   writes a key for HUB_KEY_FILE
  bridge client revoke NAME
  bridge client list
`

func (t *tool) run(ctx context.Context, args []string) error {
	commands := map[string]func(context.Context, []string) error{
		"gateway add": t.addGateway, "gateway rotate": t.rotateGateway, "gateway revoke": t.revokeGateway, "gateway list": t.listGateways,
		"client add": t.addClient, "client revoke": t.revokeClient, "client list": t.listClients,
	}
	return program.Subcommand(ctx, commands, args)
}

// parse reads flags before and behind one name, which must be an id.
func parse(flags *flag.FlagSet, args []string) (string, error) {
	name, err := program.NameAndFlags(flags, args)
	if err == nil && !telemetry.ValidDeviceID(name) {
		err = fmt.Errorf("%.80q: want an id of A-Z a-z 0-9 _ -", name)
	}
	return name, err
}

// gateway returns the record of a gateway, nil if there is none.
func (t *tool) gateway(ctx context.Context, id string) (*access.Gateway, error) {
	all, err := t.store.Read(ctx)
	if err != nil {
		return nil, err
	}
	data := all[access.GatewayRecordKey(id)]
	if data == nil {
		return nil, nil
	}
	return access.DecodeGateway(data)
}

// keep writes the record of a gateway, if the security audit can have the change.
func (t *tool) keep(ctx context.Context, what securityaudit.What, g *access.Gateway, detail string) error {
	g.Changed, g.By = t.now.UnixMilli(), t.by
	return t.audit.Change(ctx, what, g.ID, detail, func(*securityaudit.Record) error {
		return t.store.Keep(ctx, access.GatewayRecordKey(g.ID), g.Encode())
	})
}

func (t *tool) addGateway(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("add", flag.ContinueOnError)
	building := flags.String("building", "", "")
	ttl := flags.Duration("ttl", 24*time.Hour, "")
	id, err := parse(flags, args)
	if err != nil {
		return err
	}
	g, err := t.gateway(ctx, id)
	if err != nil {
		return err
	}
	if g == nil {
		g = &access.Gateway{ID: id}
	}
	if *building != "" {
		g.Building = *building
	}
	g.Revoked = 0
	return t.claim(ctx, securityaudit.GatewayAdd, g, *ttl, 0)
}

func (t *tool) rotateGateway(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("rotate", flag.ContinueOnError)
	ttl := flags.Duration("ttl", 24*time.Hour, "")
	keep := flags.Duration("keep", 24*time.Hour, "")
	id, err := parse(flags, args)
	if err != nil {
		return err
	}
	g, err := t.known(ctx, id)
	if err != nil {
		return err
	}
	if g.Revoked != 0 {
		return fmt.Errorf("%s was revoked; bridge gateway add %s lets it in again", id, id)
	}
	return t.claim(ctx, securityaudit.GatewayRotate, g, *ttl, *keep)
}

// known returns the record of a gateway that must exist.
func (t *tool) known(ctx context.Context, id string) (*access.Gateway, error) {
	g, err := t.gateway(ctx, id)
	if err == nil && g == nil {
		err = fmt.Errorf("there is no gateway %s; bridge gateway list shows all", id)
	}
	return g, err
}

// claim opens a claim for a gateway and prints it.
func (t *tool) claim(ctx context.Context, what securityaudit.What, g *access.Gateway, ttl, keep time.Duration) (err error) {
	if ttl <= 0 || keep < 0 {
		return errors.New("-ttl and -keep: want a duration such as 24h")
	}
	c := access.Claim{Hub: t.cfg.LeafURL, Gateway: g.ID, Building: g.Building, Secret: access.NewSecret()}
	if _, err := access.ParseClaim(c.String()); err != nil {
		return fmt.Errorf("BRIDGE_LEAF_URL=%s: want a URL such as nats-leaf://hub.example.com:7422", t.cfg.LeafURL)
	}
	if t.cfg.CAFile != "" {
		if c.CA, err = ca.HashOf(t.cfg.CAFile); err != nil {
			return fmt.Errorf("BRIDGE_TLS_CA_FILE: %w", err)
		}
	}
	until := t.now.Add(ttl)
	g.Claim = &access.Open{Hash: access.HashOf(c.Secret), Until: until.UnixMilli(), KeepFor: keep.Milliseconds()}
	detail := "claim until " + until.UTC().Format(time.RFC3339)
	if g.Building != "" {
		detail += ", building " + g.Building
	}
	if err := t.keep(ctx, what, g, detail); err != nil {
		return err
	}
	fmt.Fprintln(t.out, "edge enroll "+c.String())
	fmt.Fprintf(t.errs, "Run this line on the gateway %s before %s. It works once. The hub is %s (BRIDGE_LEAF_URL).\n",
		g.ID, until.Format("2006-01-02 15:04"), t.cfg.LeafURL)
	return nil
}

func (t *tool) revokeGateway(ctx context.Context, args []string) error {
	id, err := parse(flag.NewFlagSet("revoke", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	g, err := t.known(ctx, id)
	if err != nil {
		return err
	}
	g.Revoked, g.Claim = t.now.UnixMilli(), nil
	if err := t.keep(ctx, securityaudit.GatewayRevoke, g, ""); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s is revoked. Readings that it has not delivered stay on its disk.\n", id)
	return nil
}

func (t *tool) listGateways(ctx context.Context, args []string) error {
	return t.list(ctx, args, access.OfGatewayRecordKey, "GATEWAY\tBUILDING\tSTATE\tCHANGED\tBY", func(data []byte) (string, error) {
		g, err := access.DecodeGateway(data)
		if err != nil {
			return "", err
		}
		return strings.Join([]string{g.ID, g.Building, t.state(g), date(g.Changed), g.By}, "\t"), nil
	})
}

// list prints the records whose keys are of one kind, a row each.
func (t *tool) list(ctx context.Context, args []string, kind func(key string) (string, bool), head string, row func(data []byte) (string, error)) error {
	if len(args) > 0 {
		return program.ErrUsage
	}
	all, err := t.store.Read(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, head)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if _, ok := kind(key); !ok {
			continue
		}
		text, err := row(all[key])
		if err != nil {
			return fmt.Errorf("record %.80q: %w", key, err)
		}
		fmt.Fprintln(table, text)
	}
	return table.Flush()
}

func date(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02 15:04") }

// state describes a gateway in words.
func (t *tool) state(g *access.Gateway) string {
	open := g.Claim != nil && t.now.UnixMilli() < g.Claim.Until
	switch {
	case g.Revoked != 0:
		return "revoked " + date(g.Revoked)
	case len(g.Keys) > 0 && open:
		return "enrolled, waits for a new key until " + date(g.Claim.Until)
	case len(g.Keys) > 0:
		return "enrolled " + date(g.Keys[len(g.Keys)-1].Added)
	case open:
		return "waits for edge enroll until " + date(g.Claim.Until)
	}
	return "claim expired"
}

func (t *tool) addClient(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("add", flag.ContinueOnError)
	role := flags.String("role", "", "")
	out := flags.String("out", "", "")
	name, err := parse(flags, args)
	if err != nil {
		return err
	}
	if !slices.Contains(access.Roles(), access.Role(*role)) {
		return fmt.Errorf("-role: want one of %v", access.Roles())
	}
	if *out == "" {
		*out = name + ".nk"
	}
	seed, public, err := credential.NewKey()
	if err != nil {
		return err
	}
	c := &access.Client{Name: name, Role: access.Role(*role), Public: public, Changed: t.now.UnixMilli(), By: t.by}
	err = t.audit.Change(ctx, securityaudit.ClientAdd, name, *role+", key "+public, func(*securityaudit.Record) error {
		if err := writeNew(*out, seed); err != nil {
			return err
		}
		if err := t.store.Keep(ctx, access.ClientRecordKey(name), c.Encode()); err != nil {
			return errors.Join(err, os.Remove(*out))
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s may connect as %s. Its key is in %s: HUB_KEY_FILE=%s\n", name, *role, *out, *out)
	return nil
}

// writeNew writes a file that only its owner can read and that must not exist.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(append(data, '\n'))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("-out: writing the key: %w", err)
	}
	return nil
}

func (t *tool) revokeClient(ctx context.Context, args []string) error {
	name, err := parse(flag.NewFlagSet("revoke", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	all, err := t.store.Read(ctx)
	if err != nil {
		return err
	}
	data := all[access.ClientRecordKey(name)]
	if data == nil {
		return fmt.Errorf("there is no program %s; bridge client list shows all", name)
	}
	c, err := access.DecodeClient(data)
	if err != nil {
		return err
	}
	c.Revoked, c.Changed, c.By = t.now.UnixMilli(), t.now.UnixMilli(), t.by
	err = t.audit.Change(ctx, securityaudit.ClientRevoke, name, "", func(*securityaudit.Record) error {
		return t.store.Keep(ctx, access.ClientRecordKey(name), c.Encode())
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s is revoked.\n", name)
	return nil
}

func (t *tool) listClients(ctx context.Context, args []string) error {
	return t.list(ctx, args, access.OfClientRecordKey, "PROGRAM\tROLE\tSTATE\tCHANGED\tBY", func(data []byte) (string, error) {
		c, err := access.DecodeClient(data)
		if err != nil {
			return "", err
		}
		state := "may connect"
		if c.Revoked != 0 {
			state = "revoked " + date(c.Revoked)
		}
		return strings.Join([]string{c.Name, string(c.Role), state, date(c.Changed), c.By}, "\t"), nil
	})
}
