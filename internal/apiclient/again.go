package apiclient

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"causeway/internal/apiform"
	"causeway/internal/resource"
)

// again waits as long as a controller asks that says there were too many
// requests, and a little longer, so that several do not come back at once. It
// reports whether to repeat the call: nothing was done. False: err is of another
// kind, or ctx ends before the wait would.
func (c *Client) again(ctx context.Context, err error) bool {
	var told *connect.Error
	if !errors.As(err, &told) || resource.CodeOf(apiform.DecodeError(err)) != resource.CodeThrottled {
		return false
	}
	seconds, bad := strconv.Atoi(told.Meta().Get("Retry-After"))
	if bad != nil || seconds < 1 {
		seconds = 1
	}
	wait := time.Duration(seconds)*time.Second + rand.N(250*time.Millisecond)
	if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) < wait {
		return false
	}
	if c.Waiting != nil {
		c.Waiting(wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
