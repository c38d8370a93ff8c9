package apiclient

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/control/throttle"
	"causeway/internal/resource"
)

// busy is a controller that refuses the first requests, then says who calls.
func busy(t *testing.T, refusals int32, wait time.Duration) (*Client, *atomic.Int32) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= refusals {
			throttle.Refuse(w, r, throttle.Error(wait), wait)
			return
		}
		w.Header().Set("Content-Type", "application/proto")
	}))
	t.Cleanup(s.Close)
	c := New(Profile{Controller: s.URL})
	t.Cleanup(c.Close)
	return c, &asked
}

func TestACallIsRepeatedWhenTheControllerSaysSo(t *testing.T) {
	c, asked := busy(t, 2, time.Millisecond)
	var waits []time.Duration
	c.Waiting = func(d time.Duration) { waits = append(waits, d) }
	if _, err := c.Call(t.Context(), "ControlService", "WhoAmI", &v1.WhoAmIRequest{}); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 3 || len(waits) != 2 || waits[0] < time.Second {
		t.Errorf("it was asked %d times, and told of the waits %v", asked.Load(), waits)
	}
}

func TestAWaitThatIsLongerThanTheCallMayTakeIsARefusal(t *testing.T) {
	c, asked := busy(t, 1, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := c.Call(ctx, "ControlService", "WhoAmI", &v1.WhoAmIRequest{})
	if resource.CodeOf(err) != resource.CodeThrottled || asked.Load() != 1 {
		t.Errorf("it ended with %v after %d requests", err, asked.Load())
	}
}
