package pathwatch

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"causeway/internal/dataplane"
	"causeway/internal/dataplane/segment/repair"
)

// Answer is what came of one Echo.
type Answer struct {
	RTT  float64 `json:"rtt_ms"`
	Lost bool    `json:"lost"`
}

// ServeHTTP answers GET /echo?to=POP&size=BYTES&mode=MODE&timeout=DURATION with
// what came of one Echo; with over=RELAYS, with commas between, it goes over
// these, and with over= directly.
func (w *Watcher) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	bytes, err := strconv.Atoi(q.Get("size"))
	wait, err2 := time.ParseDuration(q.Get("timeout"))
	mode, err3 := repair.ParseMode(q.Get("mode"))
	if err = errors.Join(err, err2, err3); err == nil && (wait <= 0 || wait > 10*time.Second) {
		err = errors.New("timeout must be more than 0 and at most 10s")
	}
	if err == nil && (bytes < 0 || bytes > dataplane.MaxEcho) {
		err = errors.New("size must be 0 to " + strconv.Itoa(dataplane.MaxEcho))
	}
	if err != nil {
		http.Error(to, err.Error(), http.StatusBadRequest)
		return
	}
	var over []string
	if q.Has("over") {
		over = []string{}
		if list := q.Get("over"); list != "" {
			over = strings.Split(list, ",")
		}
	}
	ctx, done := context.WithTimeout(r.Context(), wait)
	defer done()
	rtt, err := w.Echo(ctx, q.Get("to"), over, bytes, uint8(mode))
	a := Answer{RTT: ms(rtt)}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		a = Answer{Lost: true}
	case err != nil:
		http.Error(to, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	to.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(to).Encode(a)
}
