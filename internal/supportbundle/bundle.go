package supportbundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"
)

// Part is one file of a bundle.
type Part struct {
	Name    string // as below the bundle's folder: pop/status.json
	About   string // for the bundle's index
	Collect func(ctx context.Context) ([]byte, error)
}

// Bounds of a bundle.
const (
	partPatience = 30 * time.Second
	partSize     = 2 << 20
)

// Write collects all parts and writes the bundle. A part that cannot be had is a
// note in the index, not an error. It returns the index.
func Write(ctx context.Context, to io.Writer, name string, now time.Time, parts []Part) (index string, err error) {
	return write(ctx, to, name, now, parts, partSize)
}

func write(ctx context.Context, to io.Writer, name string, now time.Time, parts []Part, limit int) (index string, err error) {
	contents := collect(ctx, parts, limit)
	zipped := gzip.NewWriter(to)
	archive := tar.NewWriter(zipped)
	put := func(file string, content []byte) {
		if err != nil {
			return
		}
		err = archive.WriteHeader(&tar.Header{Name: path.Join(name, file), Mode: 0o600, Size: int64(len(content)), ModTime: now, Format: tar.FormatPAX})
		if err == nil {
			_, err = archive.Write(content)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Causeway support bundle, %s\n\nSecrets were taken out (%s stands where they were); addresses and names were not.\nLook through it before you send it.\n\n", now.UTC().Format(time.RFC3339), Mask)
	for i, p := range parts {
		c := contents[i]
		if c.err != nil {
			fmt.Fprintf(&b, "  %-34s %s: could not be had: %s\n", p.Name, p.About, Redact([]byte(firstLine(c.err.Error()))))
			continue
		}
		note := ""
		if c.cut {
			note = fmt.Sprintf(" (the newest %d KiB)", limit>>10)
		}
		fmt.Fprintf(&b, "  %-34s %s%s\n", p.Name, p.About, note)
		put(p.Name, c.text)
	}
	index = b.String()
	put("README.txt", []byte(index))
	if err != nil {
		return index, fmt.Errorf("write the bundle: %w", err)
	}
	if err := archive.Close(); err != nil {
		return index, fmt.Errorf("write the bundle: %w", err)
	}
	return index, zipped.Close()
}

type content struct {
	text []byte
	cut  bool
	err  error
}

// collect asks for all parts at once; one that hangs holds up nothing but itself.
func collect(ctx context.Context, parts []Part, limit int) []content {
	out := make([]content, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, partPatience)
			defer cancel()
			got := make(chan content, 1)
			go func() {
				text, err := p.Collect(ctx)
				c := content{text: text, err: err}
				if len(c.text) > limit {
					c.text, c.cut = c.text[len(c.text)-limit:], true
				}
				c.text = Redact(c.text)
				got <- c
			}()
			select {
			case out[i] = <-got:
			case <-ctx.Done():
				out[i] = content{err: ctx.Err()}
			}
		})
	}
	all.Wait()
	return out
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
