package resequence

import (
	"fmt"
	"time"
)

// Mode is how much order a session's peer is given.
type Mode uint8

const (
	// Ordered (the default) releases a packet when all before it have left or are given up.
	Ordered Mode = iota
	// Windowed releases packets at once as long as the oldest hole stays within half the
	// peer's replay window, and holds those beyond it. Less delay, some disorder.
	Windowed
	// Off holds nothing. Duplicates and what the peer would refuse are still dropped.
	Off
)

// String returns the mode as users write it.
func (m Mode) String() string {
	switch m {
	case Ordered:
		return "ordered"
	case Windowed:
		return "windowed"
	case Off:
		return "off"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// ParseMode reads a mode as users write it; the empty text is Ordered.
func ParseMode(text string) (Mode, error) {
	switch text {
	case "", "ordered":
		return Ordered, nil
	case "windowed":
		return Windowed, nil
	case "off":
		return Off, nil
	}
	return 0, fmt.Errorf("resequencing mode %q is not known; it may be ordered, windowed or off", text)
}

// Config is what a listener asks for. The zero Config is right for a peer with
// strongSwan's defaults.
type Config struct {
	Mode Mode

	// Window is the peer's replay window in packets, 1 to 4096; 0 means 32,
	// strongSwan's default and RFC 4303's minimum. Asking for less than the peer
	// has is safe, for more is not.
	Window int

	// Hold is the longest that any packet waits, whatever its deadline allows, up
	// to 1 s; 0 means 300 ms, as long as repair goes on in mode balanced. Few packets
	// wait so long; a TCP inside takes a rare late one better than a loss.
	Hold time.Duration

	// SPIs is how many SPIs are kept in order side by side, 1 to 64; 0 means 8:
	// a few child SAs, each with its successor while it is rekeyed.
	SPIs int
}

const (
	defaultWindow = 32
	maxWindow     = seenBits
	defaultHold   = 300 * time.Millisecond
	maxHold       = time.Second
	defaultSPIs   = 8
	maxSPIs       = 64
)

// Check returns what is wrong with a Config, in a sentence that says what is allowed.
func (c Config) Check() error {
	switch {
	case c.Mode > Off:
		return fmt.Errorf("resequencing mode %d is not known; use ordered, windowed or off", c.Mode)
	case c.Window < 0 || c.Window > maxWindow:
		return fmt.Errorf("replay window %d is out of range; give the peer's own, 1 to %d packets, or 0 for %d", c.Window, maxWindow, defaultWindow)
	case c.Hold < 0 || c.Hold > maxHold:
		return fmt.Errorf("resequencing hold %v is out of range; it may be up to %v, or 0 for %v", c.Hold, maxHold, defaultHold)
	case c.SPIs < 0 || c.SPIs > maxSPIs:
		return fmt.Errorf("%d SPIs per session is out of range; it may be 1 to %d, or 0 for %d", c.SPIs, maxSPIs, defaultSPIs)
	}
	return nil
}

func (c *Config) window() uint32 {
	if c.Window == 0 {
		return defaultWindow
	}
	return uint32(c.Window)
}

func (c *Config) hold() time.Duration {
	if c.Hold == 0 {
		return defaultHold
	}
	return c.Hold
}

func (c *Config) spis() int {
	if c.SPIs == 0 {
		return defaultSPIs
	}
	return c.SPIs
}

// acceptable is how far behind the newest released packet a packet may leave. It
// keeps a margin to the window, for what the last stretch to the peer may disorder.
func (c *Config) acceptable() uint32 {
	w := c.window()
	return w - min(8, w/4)
}

// reach is how far from the oldest hole packets are released at once.
func (c *Config) reach() uint32 {
	if c.Mode == Windowed {
		return max(1, c.window()/2)
	}
	return 1
}

// believed is how large a jump ahead a single packet is believed.
func (c *Config) believed() uint32 {
	if c.Mode == Off {
		return c.strayGap()
	}
	return maxSpan
}

// strayGap is the hole beyond which a lone packet is taken for a stray.
func (c *Config) strayGap() uint32 { return max(1024, c.window()) }
