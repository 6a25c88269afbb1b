package kafka

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Protocol is what a connection to Kafka is made of.
type Protocol string

// Protocols, by Kafka's names. The zero value is Plaintext.
const (
	Plaintext     Protocol = "PLAINTEXT"
	TLS           Protocol = "SSL"
	SASLPlaintext Protocol = "SASL_PLAINTEXT"
	SASLTLS       Protocol = "SASL_SSL"
)

func (p Protocol) tls() bool  { return p == TLS || p == SASLTLS }
func (p Protocol) sasl() bool { return p == SASLPlaintext || p == SASLTLS }

// Security is how a program and Kafka prove to each other who they are. The zero value is
// Plaintext: neither does.
type Security struct {
	Protocol Protocol `env:"KAFKA_SECURITY_PROTOCOL" envDefault:"PLAINTEXT" help:"how to connect to Kafka: PLAINTEXT, SSL (TLS), SASL_PLAINTEXT (sign in) or SASL_SSL (both)"`
	SASL
	SSL
}

// check refuses what contradicts itself, and names the variable.
func (s Security) check() error {
	switch s.Protocol {
	case Plaintext, TLS, SASLPlaintext, SASLTLS, "":
	default:
		return fmt.Errorf("KAFKA_SECURITY_PROTOCOL=%s: want PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", s.Protocol)
	}
	if err := s.checkSASL(); err != nil {
		return err
	}
	ssl := []variable{
		{"KAFKA_SSL_CA_FILE", s.CAFile},
		{"KAFKA_SSL_CERT_FILE", s.CertFile},
		{"KAFKA_SSL_KEY_FILE", s.KeyFile},
		{"KAFKA_SSL_SERVER_NAME", s.ServerName},
	}
	if !s.Protocol.tls() {
		return unused(ssl, "KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL")
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		return missing(ssl[1:3], "a certificate and its key belong together")
	}
	_, err := s.load()
	return err
}

func (s Security) checkSASL() error {
	mechanism := []variable{{"KAFKA_SASL_MECHANISM", string(s.Mechanism)}}
	user := []variable{{"KAFKA_SASL_USERNAME", s.Username}, {"KAFKA_SASL_PASSWORD", string(s.Password)}}
	oauth := []variable{
		{"KAFKA_SASL_OAUTH_TOKEN_URL", s.OAuth.TokenURL},
		{"KAFKA_SASL_OAUTH_CLIENT_ID", s.OAuth.ClientID},
		{"KAFKA_SASL_OAUTH_CLIENT_SECRET", string(s.OAuth.ClientSecret)},
	}
	scopes := variable{"KAFKA_SASL_OAUTH_SCOPES", strings.Join(s.OAuth.Scopes, ",")}
	if !s.Protocol.sasl() {
		return unused(slices.Concat(mechanism, user, oauth, []variable{scopes}), "KAFKA_SECURITY_PROTOCOL=SASL_SSL or SASL_PLAINTEXT")
	}
	switch s.Mechanism {
	case Plain, SCRAM256, SCRAM512:
		if err := unused(append(oauth, scopes), "KAFKA_SASL_MECHANISM=OAUTHBEARER"); err != nil {
			return err
		}
		return missing(user, "KAFKA_SASL_MECHANISM="+string(s.Mechanism)+" needs it")
	case OAuthBearer:
		if err := unused(user, "KAFKA_SASL_MECHANISM=PLAIN or SCRAM"); err != nil {
			return err
		}
		if err := missing(oauth, "KAFKA_SASL_MECHANISM=OAUTHBEARER needs it"); err != nil {
			return err
		}
		if u, err := url.Parse(s.OAuth.TokenURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return fmt.Errorf("%s: want https://host/path without a password", oauth[0].name) // its text may hold one
		}
		return nil
	case "":
		return fmt.Errorf("KAFKA_SASL_MECHANISM is empty: KAFKA_SECURITY_PROTOCOL=%s needs it: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", s.Protocol)
	default:
		return fmt.Errorf("KAFKA_SASL_MECHANISM=%s: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", s.Mechanism)
	}
}

// variable is one of the environment with its value, which is not printed.
type variable struct{ name, value string }

// unused refuses variables that are set and would not count.
func unused(all []variable, without string) error {
	for _, v := range all {
		if v.value != "" {
			return fmt.Errorf("%s is set, which counts only with %s", v.name, without)
		}
	}
	return nil
}

// missing refuses variables that are not set.
func missing(all []variable, why string) error {
	for _, v := range all {
		if v.value == "" {
			return fmt.Errorf("%s is empty: %s", v.name, why)
		}
	}
	return nil
}
