package login_test

import (
	"context"
	"log/slog"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	clientID     = "tally"
	clientSecret = "the client's secret"
	password     = "open sesame"
)

// issuer is a real one, with a few people.
type issuer struct {
	server *httptest.Server
	people *people
}

// people are the issuer's users, and what it says of them.
type people struct {
	*storage.Storage
	byID map[string]*storage.User
	// roles are by the id of the user. Where is where they are said: "id token" or
	// "user info".
	roles map[string]any
	where string

	mu sync.Mutex
	// life is that of an ID token.
	life time.Duration
}

func (p *people) GetUserByID(id string) *storage.User { return p.byID[id] }

func (p *people) GetUserByUsername(name string) *storage.User { return p.byID[name] }

func (p *people) ExampleClientID() string { return storage.ServiceUserID }

func (p *people) setLife(life time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = life
}

// SetUserinfoFromRequest adds claims to an ID token.
func (p *people) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	if p.where == "id token" {
		p.claim(info, r.GetSubject())
	}
	return p.Storage.SetUserinfoFromRequest(ctx, info, r, scopes)
}

// SetUserinfoFromToken answers for the user info endpoint.
func (p *people) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	if p.where == "user info" {
		p.claim(info, subject)
	}
	return p.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
}

func (p *people) claim(info *oidc.UserInfo, subject string) {
	info.PreferredUsername = p.byID[subject].Username
	if roles, ok := p.roles[subject]; ok {
		info.AppendClaims("groups", roles)
		info.AppendClaims("realm_access", map[string]any{"roles": roles})
	}
}

// GetClientByClientID returns a client whose ID tokens live as long as a test wants.
func (p *people) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := p.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return shortLived{c, p.life}, nil
}

type shortLived struct {
	op.Client
	life time.Duration
}

func (s shortLived) IDTokenLifetime() time.Duration { return s.life }

// newIssuer starts an issuer that knows one client, which is sent back to the console.
func newIssuer(t *testing.T, listener net.Listener, console, where string, public bool) *issuer {
	t.Helper()
	user := func(name string) *storage.User { return &storage.User{ID: name, Username: name, Password: password} }
	p := &people{
		byID: map[string]*storage.User{"ada": user("ada"), "bob": user("bob"), "eve": user("eve"), "nil": user("nil")}, where: where, life: time.Hour,
		roles: map[string]any{"ada": []string{"staff", "the operators"}, "bob": "staff", "eve": []string{"visitors"}},
	}
	client := storage.WebClient(clientID, clientSecret, console+"/login/oidc/callback")
	if public {
		client = storage.NativeClient(clientID, console+"/login/oidc/callback")
	}
	p.Storage = storage.NewStorageWithClients(p, map[string]*storage.Client{clientID: client})
	url := "http://" + listener.Addr().String()
	server := httptest.NewUnstartedServer(exampleop.SetupServer(url, p, slog.New(slog.DiscardHandler), false))
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return &issuer{server: server, people: p}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
