package controller

import (
	"context"
	"time"
)

const (
	housekeeping   = time.Hour
	domainsAtMost  = time.Minute // between looks at which domains are due
	domainsAtLeast = time.Second
)

// tidy forgets every hour what is not needed any more.
func (c *Controller) tidy(ctx context.Context) {
	ticker := time.NewTicker(housekeeping)
	defer ticker.Stop()
	for {
		if _, err := c.service.Housekeep(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("the store could not be tidied; it will be tried again", "reason", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// refresh looks endpoints' domains up again when their records' time is over,
// and looks at once when resources changed.
func (c *Controller) refresh(ctx context.Context) {
	for {
		_, changed := c.current()
		next, err := c.service.RefreshDomains(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Warn("domains could not be looked up; endpoints stay as they are", "reason", err)
		}
		wait := domainsAtMost
		if err == nil && !next.IsZero() {
			wait = min(max(time.Until(next), domainsAtLeast), domainsAtMost)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case <-changed:
			select { // not faster than once a second, however fast things change
			case <-ctx.Done():
				return
			case <-time.After(domainsAtLeast):
			}
		}
	}
}
