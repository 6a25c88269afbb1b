package kafka

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"industrial-iot-monitor/internal/config"
)

var (
	errToken = errors.New("no token for Kafka")
	errSCRAM = errors.New("SCRAM failed")
)

// tokenTimeout bounds the request for a token, during which a connection waits.
const tokenTimeout = 10 * time.Second

// Mechanism is how a program signs in to Kafka.
type Mechanism string

// Mechanisms.
const (
	Plain       Mechanism = "PLAIN"
	SCRAM256    Mechanism = "SCRAM-SHA-256"
	SCRAM512    Mechanism = "SCRAM-SHA-512"
	OAuthBearer Mechanism = "OAUTHBEARER"
)

// SASL is who the program says it is.
type SASL struct {
	Mechanism Mechanism     `env:"KAFKA_SASL_MECHANISM" help:"how the program signs in to Kafka: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"`
	Username  string        `env:"KAFKA_SASL_USERNAME" help:"the program's user at Kafka, for PLAIN and SCRAM"`
	Password  config.Secret `env:"KAFKA_SASL_PASSWORD" help:"its password; never logged"`
	OAuth     OAuth         `envPrefix:"KAFKA_SASL_OAUTH_"`
}

// OAuth is where a program gets its tokens (client credentials, RFC 6749 section 4.4).
type OAuth struct {
	TokenURL     string        `env:"TOKEN_URL" help:"where the program gets its token for OAUTHBEARER: https://…"`
	ClientID     string        `env:"CLIENT_ID" help:"the program's name there"`
	ClientSecret config.Secret `env:"CLIENT_SECRET" help:"its secret there; never logged"`
	Scopes       []string      `env:"SCOPES" envSeparator:"," help:"scopes to ask for, comma separated"`
}

// apply puts the mechanism into sarama's settings.
func (s SASL) apply(c *sarama.Config, tokens sarama.AccessTokenProvider) {
	c.Net.SASL.Enable = true
	c.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
	c.Net.SASL.User, c.Net.SASL.Password = s.Username, string(s.Password)
	switch s.Mechanism {
	case SCRAM256:
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA256} }
	case SCRAM512:
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA512} }
	case OAuthBearer:
		c.Net.SASL.TokenProvider = tokens
	case Plain:
	}
}

// scramClient is one conversation of SCRAM (RFC 5802). It proves that the server knows the
// password, too.
type scramClient struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

// Begin implements sarama.SCRAMClient.
func (s *scramClient) Begin(user, password, authzID string) error {
	c, err := s.hash.NewClient(user, password, authzID)
	if err != nil {
		return fmt.Errorf("%w: user name or password cannot be used: %w", errSCRAM, err)
	}
	s.ClientConversation = c.NewConversation()
	return nil
}

// Step implements sarama.SCRAMClient.
func (s *scramClient) Step(challenge string) (string, error) {
	answer, err := s.ClientConversation.Step(challenge)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errSCRAM, err)
	}
	return answer, nil
}

// tokens returns a source of tokens that keeps one until shortly before it expires.
func (o OAuth) tokens() sarama.AccessTokenProvider {
	c := clientcredentials.Config{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: string(o.ClientSecret), Scopes: o.Scopes}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: tokenTimeout})
	return tokenSource{c.TokenSource(ctx)}
}

type tokenSource struct{ oauth2.TokenSource }

// Token implements sarama.AccessTokenProvider.
func (s tokenSource) Token() (*sarama.AccessToken, error) {
	t, err := s.TokenSource.Token()
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// Its own text holds the body, which may hold anything.
		return nil, fmt.Errorf("%w: KAFKA_SASL_OAUTH_TOKEN_URL answers %s %s", errToken, answer.Response.Status, answer.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errToken, err)
	}
	return &sarama.AccessToken{Token: t.AccessToken}, nil
}
