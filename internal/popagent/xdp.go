package popagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"causeway/internal/agent"
)

// XDPSwitch is a Plane that can take packets from devices before the kernel's stack,
// and stop doing so, while they flow.
type XDPSwitch interface {
	SetXDP(on bool) error
}

// switched is the body of a request to switch something.
type switched struct {
	On bool `json:"on"`
}

func (a *runner) switchXDP(w http.ResponseWriter, r *http.Request) {
	var body switched
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&body); err != nil {
		agent.Answer(w, fmt.Errorf("read the request: %w", err))
		return
	}
	plane, ok := a.plane.(XDPSwitch)
	if !ok {
		agent.Answer(w, errors.New("this data plane knows no XDP"))
		return
	}
	err := plane.SetXDP(body.On)
	if err == nil {
		a.Log.Info("XDP is switched", "on", body.On)
	}
	agent.Answer(w, err)
}

// SetXDP has the PoP take packets from its devices before the kernel's stack, or
// over sockets. It holds until the next call or the process's end.
func (c Client) SetXDP(ctx context.Context, on bool) error {
	if _, err := c.do(ctx, http.MethodPut, "/xdp", switched{on}); err != nil {
		return fmt.Errorf("switch XDP: %w", err)
	}
	return nil
}
