package devices

import (
	"cmp"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"industrial-iot-monitor/internal/credential"
	"industrial-iot-monitor/internal/program"
)

const usage = `usage: edge device add ID [-kind secret|nkey|x509] [-key PUBLIC] [-cert FILE.pem] [-publishes ID,PREFIX*] [-subjects SUBJECT,…]
       edge device list
       edge device rotate ID [-end] [-cert FILE.pem]
       edge device revoke ID [-kind x509]
       edge device import FILE.csv

add     prints the secret, once. A concentrator names the devices it publishes for: -publishes "plc7_*".
        -kind nkey draws a key for NATS and prints its seed; -key takes a public key that the device has drawn.
        A device with a certificate of EDGE_TLS_CLIENT_CA_FILE needs no add but to publish for others; with -cert that
        certificate's key alone holds.
        -subjects are those of other formats, for devices that publish them by NATS: -subjects "shellies.kitchen.>".
rotate  prints a second secret; the first one holds until rotate -end. A new nkey holds at once, alone.
revoke  cuts the device within a second. add lets it in again with a new secret or, -cert, a new certificate.
        -kind x509 is for one that has a certificate and was not added.
        A device that the centre has added is cut too, until the centre gives it another secret.
import  reads a CSV file with the columns id and argon2id, and optionally publishes (separated by blanks).

A running gateway notices every change by itself; the hub is not needed.
`

// Command is "edge device": it changes the file of credentials.
type Command struct {
	File string // see File
	In   func(name string) (io.ReadCloser, error)
	Out  io.Writer
	Err  io.Writer
	Now  time.Time
}

// Run returns the exit code.
func (c *Command) Run(args []string) int {
	commands := map[string]func([]string) error{
		"add": c.add, "list": c.list, "rotate": c.rotate, "revoke": c.revoke, "import": c.importFile,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(c.Err, usage)
		return 2
	}
	err := commands[args[0]](args[1:])
	switch {
	case errors.Is(err, program.ErrUsage):
		fmt.Fprint(c.Err, usage)
		return 2
	case err != nil:
		fmt.Fprintf(c.Err, "edge device %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// words splits at commas and blanks.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (c *Command) add(args []string) error {
	flags := flag.NewFlagSet("add", flag.ContinueOnError)
	kind := flags.String("kind", string(Secret), "")
	key := flags.String("key", "", "")
	cert := flags.String("cert", "", "")
	publishes := flags.String("publishes", "", "")
	subjects := flags.String("subjects", "", "")
	id, err := program.NameAndFlags(flags, args)
	if err != nil {
		return err
	}
	n := &Credential{ID: id, Kind: Kind(*kind), Public: *key, Publishes: words(*publishes), Subjects: words(*subjects), Added: c.Now.UnixMilli()}
	switch {
	case *key != "":
		n.Kind = Nkey
	case *cert != "":
		if err := c.pin(n, *cert); err != nil {
			return err
		}
	}
	shown, err := n.Draw()
	if err != nil {
		return err
	}
	said, err := c.centre()
	if err != nil {
		return err
	}
	err = change(c.File, func(set *Set) ([]*Credential, error) {
		if err := said.leaves(id); err != nil {
			return nil, err
		}
		if old := set.Of(id); old != nil && old.Revoked == 0 {
			return nil, fmt.Errorf("%s %w; rotate gives it another secret", id, errTwice)
		} else if old != nil && n.Kind == X509 && len(n.Hashes) == 0 {
			return nil, fmt.Errorf("%s was revoked: %w", id, errWhichCertificate)
		}
		return []*Credential{n}, nil
	})
	if err != nil {
		return err
	}
	c.show(n, shown)
	return nil
}

// show prints what has to be set at the device.
func (c *Command) show(n *Credential, shown string) {
	switch {
	case n.Kind == X509:
		fmt.Fprintf(c.Out, "%s may connect with its certificate.\n", n.ID)
	case shown == "":
		fmt.Fprintf(c.Out, "%s may connect with its nkey.\n", n.ID)
	case n.Kind == Nkey:
		fmt.Fprintf(c.Out, "nkey seed  %s\n", shown)
	default:
		fmt.Fprintf(c.Out, "user      %s\npassword  %s\n", n.ID, shown)
	}
	if shown != "" {
		fmt.Fprintln(c.Out, "It is shown this once.")
	}
}

func (c *Command) list(args []string) error {
	if len(args) > 0 {
		return program.ErrUsage
	}
	_, local, err := read(c.File)
	if err != nil {
		return err
	}
	said, err := c.centre()
	if err != nil {
		return err
	}
	set := said.join(local)
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DEVICE\tKIND\tPUBLISHES FOR\tADDED\tFROM\tSTATE")
	for _, id := range set.IDs() {
		n := set.Of(id)
		state := "in force"
		switch {
		case n.Revoked != 0:
			state = "revoked " + day(n.Revoked)
		case len(n.Hashes) > 1:
			state = "two hold, until rotate -end"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", id, cmp.Or(n.Kind, "-"), cmp.Or(strings.Join(n.Publishes, " "), "-"), day(n.Added), said.from(id), state)
	}
	return w.Flush()
}

// centre returns what the centre said of devices.
func (c *Command) centre() (*centre, error) {
	said, _, err := readCentre(c.File + centreSuffix)
	return said, err
}

var errCentral = errors.New("is the centre's: give it another secret on the portal, where it was added")

// leaves returns an error if it is the centre that gives a device its credential.
func (c *centre) leaves(id string) error {
	switch d, said := c.devices[id]; {
	case !said:
		return nil
	case d.Device.Revoked != 0:
		return fmt.Errorf("the centre has revoked %s: %w", id, errRevokedThere)
	}
	return fmt.Errorf("%s %w", id, errCentral)
}

var errRevokedThere = errors.New("it has to be added on the portal")

// from returns who says what counts of a device.
func (c *centre) from(id string) string {
	if _, said := c.devices[id]; said {
		return "centre"
	}
	return "here"
}

func day(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format(time.DateOnly)
}

// existing returns a copy of a credential that is in force.
func (s *Set) existing(id string) (*Credential, error) {
	old := s.Of(id)
	if old == nil || old.Revoked != 0 {
		return nil, fmt.Errorf("%s has no credential in force; edge device list shows them", id)
	}
	n := *old
	return &n, nil
}

func (c *Command) rotate(args []string) error {
	flags := flag.NewFlagSet("rotate", flag.ContinueOnError)
	end := flags.Bool("end", false, "")
	cert := flags.String("cert", "", "")
	id, err := program.NameAndFlags(flags, args)
	if err != nil {
		return err
	}
	said, err := c.centre()
	if err != nil {
		return err
	}
	var n *Credential
	var shown string
	err = change(c.File, func(set *Set) ([]*Credential, error) {
		if err := said.leaves(id); err != nil {
			return nil, err
		}
		if n, err = set.existing(id); err != nil {
			return nil, err
		}
		if *end {
			if len(n.Hashes) < credential.MaxHashes {
				return nil, fmt.Errorf("%s has one secret or certificate alone", id)
			}
			n.Hashes = n.Hashes[len(n.Hashes)-1:]
			return []*Credential{n}, nil
		}
		if n.Kind == X509 || *cert != "" {
			return []*Credential{n}, c.another(n, *cert)
		}
		n.Public = ""
		shown, err = n.Draw()
		return []*Credential{n}, err
	})
	switch {
	case err != nil:
		return err
	case *end:
		fmt.Fprintf(c.Out, "The newest one of %s is its only one.\n", id)
		return nil
	}
	c.show(n, shown)
	if len(n.Hashes) > 1 {
		fmt.Fprintf(c.Out, "The one of before holds until: edge device rotate %s -end\n", id)
	}
	return nil
}

func (c *Command) revoke(args []string) error {
	flags := flag.NewFlagSet("revoke", flag.ContinueOnError)
	kind := flags.String("kind", "", "")
	id, err := program.NameAndFlags(flags, args)
	if err != nil || *kind != "" && Kind(*kind) != X509 {
		return program.ErrUsage
	}
	said, err := c.centre()
	if err != nil {
		return err
	}
	err = change(c.File, func(set *Set) ([]*Credential, error) {
		known := said.join(set)
		if known.Of(id) == nil && *kind != "" { // it has a certificate alone
			return []*Credential{{ID: id, Kind: X509, Added: c.Now.UnixMilli(), Revoked: c.Now.UnixMilli()}}, nil
		}
		n, err := known.existing(id)
		if err != nil {
			return nil, err
		}
		n.Revoked = c.Now.UnixMilli()
		if d, ok := said.devices[n.ID]; ok {
			n.Over = d.stamp()
		}
		return []*Credential{n}, nil
	})
	if err == nil {
		fmt.Fprintf(c.Out, "%s is revoked.\n", id)
	}
	return err
}

// importFile adds all devices of a file, or none.
func (c *Command) importFile(args []string) error {
	if len(args) != 1 {
		return program.ErrUsage
	}
	in, err := c.In(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was read
	added, err := readCSV(in, c.Now.UnixMilli())
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	said, err := c.centre()
	if err != nil {
		return err
	}
	err = change(c.File, func(set *Set) ([]*Credential, error) {
		for _, n := range added {
			if err := said.leaves(n.ID); err != nil {
				return nil, err
			}
			if old := set.Of(n.ID); old != nil && old.Revoked == 0 && old.Kind != Password {
				return nil, fmt.Errorf("%s %w of kind %s", n.ID, errTwice, old.Kind)
			}
		}
		return added, nil
	})
	if err == nil {
		fmt.Fprintf(c.Out, "%d devices imported.\n", len(added))
	}
	return err
}

// readCSV reads credentials with imported hashes. The error names the line.
func readCSV(in io.Reader, now int64) (all []*Credential, err error) {
	r := csv.NewReader(in)
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the first line: %w", err)
	}
	id, hash, publishes := slices.Index(head, "id"), slices.Index(head, "argon2id"), slices.Index(head, "publishes")
	if id < 0 || hash < 0 {
		return nil, fmt.Errorf("the first line is %.80q: want the columns id and argon2id", strings.Join(head, ","))
	}
	seen := map[string]bool{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		n := &Credential{ID: row[id], Kind: Password, Password: row[hash], Added: now}
		if publishes >= 0 {
			n.Publishes = words(row[publishes])
		}
		if err := n.Check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if seen[n.ID] {
			return nil, fmt.Errorf("line %d: %s stands there twice", line, n.ID)
		}
		seen[n.ID] = true
		all = append(all, n)
	}
}
