package vpngw

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"causeway/internal/agent"
	"causeway/internal/report"
)

// routes are what is answered on the gateway's socket:
//
//	GET /status                            the report as JSON
//	POST /reload                           read the file again
//	POST /connections/NAME/initiate        bring it up, and wait for that
//	POST /connections/NAME/terminate       take it down until it is initiated again
//	POST /connections/NAME/rekey?ike=true  renew the keys of its children, or of its IKE SAs
//
// NAME is a connection, or a tunnel. What went well is answered by 204, what did
// not by 422 and the reason as text.
func (a *runner) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { agent.Tell(w, a.report()) })
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) { agent.Answer(w, a.Reload(r.Context(), "asked for")) })
	mux.HandleFunc("POST /connections/{name}/{verb}", a.command)
	return mux
}

func (a *runner) command(w http.ResponseWriter, r *http.Request) {
	name, verb := r.PathValue("name"), r.PathValue("verb")
	var err error
	switch verb {
	case "initiate":
		err = a.engine.initiate(r.Context(), name)
	case "terminate":
		err = a.engine.terminate(r.Context(), name)
	case "rekey":
		err = a.engine.rekey(r.Context(), name, r.URL.Query().Get("ike") == "true")
	default:
		http.NotFound(w, r)
		return
	}
	agent.Answer(w, err)
}

// Client asks a running gateway over its socket.
type Client struct{ Socket string }

// Status returns the gateway's report.
func (c Client) Status(ctx context.Context) (report.Gateway, error) {
	var g report.Gateway
	body, err := c.do(ctx, http.MethodGet, "/status")
	if err != nil {
		return g, fmt.Errorf("ask the gateway at %s for its status: %w", c.Socket, err)
	}
	if err := json.Unmarshal(body, &g); err != nil {
		return g, fmt.Errorf("ask the gateway at %s for its status: it does not answer as a gateway does: %w", c.Socket, err)
	}
	return g, nil
}

// Reload has the gateway read its snapshot file again and returns what came of it.
func (c Client) Reload(ctx context.Context) error {
	if _, err := c.do(ctx, http.MethodPost, "/reload"); err != nil {
		return fmt.Errorf("reload the gateway at %s: %w", c.Socket, err)
	}
	return nil
}

// Initiate brings a connection, or a tunnel, up and waits until it is.
func (c Client) Initiate(ctx context.Context, name string) error {
	return c.command(ctx, name, "initiate")
}

// Terminate takes a connection, or a tunnel, down. It stays down until Initiate,
// until its parameters change, until its peer begins, or until the agent is started anew.
func (c Client) Terminate(ctx context.Context, name string) error {
	return c.command(ctx, name, "terminate")
}

// Rekey renews the keys of the children, or of the IKE SAs.
func (c Client) Rekey(ctx context.Context, name string, ike bool) error {
	verb := "rekey"
	if ike {
		verb += "?ike=true"
	}
	return c.command(ctx, name, verb)
}

func (c Client) command(ctx context.Context, name, verb string) error {
	if _, err := c.do(ctx, http.MethodPost, "/connections/"+url.PathEscape(name)+"/"+verb); err != nil {
		return fmt.Errorf("%s %s: %w", strings.TrimSuffix(verb, "?ike=true"), name, err)
	}
	return nil
}

func (c Client) do(ctx context.Context, method, path string) ([]byte, error) {
	return agent.Call(ctx, c.Socket, method, path, nil)
}
