// Package device writes an IPsec connection down as the configuration of a
// device that people have: strongSwan, libreswan, routers and firewalls of a
// dozen makers, the commands of two clouds, and a sheet for everything else.
// Every value comes from one vpn.Connection, seen from the device's end; what
// the device cannot do, or cannot be told, is refused with the field and the fix,
// never left out in silence. Templates lie in templates/, one to a device; each
// value that goes into one is quoted by the device's own rules, so that nothing a
// name, an identity or a key holds can become a command.
//
// It reads no files and talks to no device; applying a configuration is left to
// people and to the gateway agent.
package device

import (
	"fmt"
	"slices"
	"strings"

	"causeway/internal/nearest"
)

// Device is a kind of device that there is a template for.
type Device struct {
	Name    string   `json:"name"`              // for commands: fortigate
	Title   string   `json:"title"`             // for people: Fortinet FortiGate
	Aliases []string `json:"aliases,omitempty"` // other names that are understood
	Tested  string   `json:"tested"`            // what the template was tried with: a real daemon, or its maker's syntax only
}

// Config is what Render makes.
type Config struct {
	Device   Device   `json:"device"`
	Files    []File   `json:"files"`              // in the order to apply them
	Notes    []string `json:"notes,omitempty"`    // what is left to do by hand
	Warnings []string `json:"warnings,omitempty"` // what the device does otherwise than the connection says
}

// File is one file, or one batch of commands.
type File struct {
	Name   string `json:"name"`   // a path where the device has one, otherwise a name to save it by
	Text   string `json:"text"`   // ends with a line feed
	Secret bool   `json:"secret"` // holds a key: mode 0600
}

// Text is all of it in one piece for a terminal; a file that is not alone is announced by its name.
func (c Config) Text() string {
	var b strings.Builder
	for i, f := range c.Files {
		if len(c.Files) > 1 {
			if i > 0 {
				b.WriteString("\n")
			}
			fmt.Fprintf(&b, "# ---- %s ----\n", f.Name)
		}
		b.WriteString(f.Text)
	}
	return b.String()
}

// Options are what a device configuration needs beside the connection.
type Options struct {
	WAN  string // the interface towards the Internet; default a placeholder that says so
	LAN  string // the interface towards the local networks; default likewise
	Hide bool   // write a placeholder instead of pre-shared keys, and leave private keys out
}

// Devices are all there are, in the order to show them.
func Devices() []Device {
	var d []Device
	for _, w := range writers {
		d = append(d, w.Device)
	}
	return d
}

// Names are the names of all devices.
func Names() []string {
	var n []string
	for _, w := range writers {
		n = append(n, w.Name)
	}
	return n
}

// Unknown is the error for a device that there is no template for.
type Unknown struct {
	Name    string
	Nearest string // "" where nothing is near
}

// Error says which there are, and which was probably meant.
func (u *Unknown) Error() string {
	s := fmt.Sprintf("device: found %q; allowed: %s", u.Name, strings.Join(Names(), ", "))
	if u.Nearest != "" {
		s += fmt.Sprintf("; did you mean %s?", u.Nearest)
	}
	return s
}

// Find returns the device of that name or alias, upper and lower case alike.
// Otherwise the error is an *Unknown.
func Find(name string) (Device, error) {
	w, err := find(name)
	if err != nil {
		return Device{}, err
	}
	return w.Device, nil
}

func find(name string) (*writer, error) {
	var all []string
	for i := range writers {
		w := &writers[i]
		for _, n := range append([]string{w.Name}, w.Aliases...) {
			if strings.EqualFold(n, name) {
				return w, nil
			}
			all = append(all, n)
		}
	}
	near := nearest.Of(name, all)
	for _, w := range writers {
		if slices.Contains(w.Aliases, near) {
			near = w.Name
		}
	}
	return nil, &Unknown{Name: name, Nearest: near}
}
