package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"industrial-iot-monitor/edge/internal/owner"
)

// soon is how long before its end a certificate is due.
const soon = 30 * 24 * time.Hour

// examineFiles looks at certificates and keys.
func examineFiles(o Options) []Result {
	var checks []Result
	for _, f := range o.Certificates {
		if f.Name == "" {
			continue
		}
		certs, err := certificates(f.Name)
		checks = append(checks, judgeCertificate(f, certs, err, o.Now))
	}
	if o.Key.Name != "" && len(o.Certificates) > 0 {
		_, err := tls.LoadX509KeyPair(o.Certificates[0].Name, o.Key.Name)
		checks = append(checks, judgeKey(o.Key, err, probeMode(o.Key.Name)))
	}
	uid, _, err := owner.Of(ExistingAbove(o.DataDir))
	for _, f := range o.Secrets {
		m := probeMode(f.Name)
		if errors.Is(m.err, fs.ErrNotExist) {
			continue
		}
		checks = append(checks, judgeSecret(f, m, uid, err == nil))
	}
	return checks
}

// certificates reads all certificates of a PEM file.
func certificates(name string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM", name)
	}
	return all, nil
}

func judgeCertificate(f File, certs []*x509.Certificate, err error, now time.Time) Result {
	if err != nil {
		return Result{Check: f.What, Verdict: Fail, Value: err.Error(), Advice: "devices or hub cannot be trusted without it; see bridge ca issue"}
	}
	for _, c := range certs {
		if now.Before(c.NotBefore) {
			return Result{
				Check: f.What, Verdict: Fail, Value: "holds from " + c.NotBefore.UTC().Format(time.DateOnly) + " on",
				Advice: "set the clock of this machine, or of the one that made the certificate",
			}
		}
	}
	return judgeExpiry(f.What, earliest(certs), now, "put a new one in its place: no restart is needed")
}

func judgeExpiry(check string, until, now time.Time, advice string) Result {
	left := until.Sub(now)
	r := Result{Check: check, Verdict: OK, Value: fmt.Sprintf("%d days left, until %s", int(left.Hours()/24), until.UTC().Format(time.DateOnly))}
	switch {
	case left <= 0:
		r.Verdict, r.Value, r.Advice = Fail, "expired on "+until.UTC().Format(time.DateOnly), advice
	case left < soon:
		r.Verdict, r.Advice = Warn, advice
	}
	return r
}

// mode is who owns and may read a file.
type mode struct {
	bits fs.FileMode
	uid  int
	err  error
}

func probeMode(name string) (m mode) {
	info, err := os.Stat(name)
	if err != nil {
		return mode{err: err}
	}
	m.bits = info.Mode().Perm()
	m.uid, _, m.err = owner.Of(name)
	return m
}

func judgeKey(f File, err error, m mode) Result {
	r := Result{Check: f.What, Verdict: OK, Value: fmt.Sprintf("%s, mode %04o, belongs to the certificate", f.Name, m.bits)}
	switch {
	case errors.Is(err, fs.ErrPermission):
		r.Verdict, r.Value, r.Advice = Fail, err.Error(), "let the gateway's user read it: chown root:iot-edge, chmod 0640"
	case err != nil:
		r.Verdict, r.Value, r.Advice = Fail, err.Error(), "certificate and key have to be made together; see bridge ca issue"
	case m.bits&0o007 != 0:
		r.Verdict, r.Advice = Fail, "every user of this machine can use it: chmod 0640 "+f.Name
	}
	return r
}

// judgeSecret judges a file of the gateway itself, which only its user may read: dataUID, the owner of the
// data.
func judgeSecret(f File, m mode, dataUID int, known bool) Result {
	r := Result{Check: f.What, Verdict: OK, Value: fmt.Sprintf("%s, mode %04o", f.Name, m.bits)}
	switch {
	case m.err != nil:
		r.Verdict, r.Value, r.Advice = Fail, m.err.Error(), "run edge doctor as root or as the gateway's user"
	case m.bits&0o077 != 0:
		r.Verdict, r.Advice = Fail, "other users can read it: chmod 0600 "+f.Name
	case known && m.uid != dataUID:
		r.Verdict, r.Value = Fail, fmt.Sprintf("%s belongs to user %d, the data to user %d", f.Name, m.uid, dataUID)
		r.Advice = fmt.Sprintf("the gateway cannot read it: chown %d %s", dataUID, f.Name)
	}
	return r
}
