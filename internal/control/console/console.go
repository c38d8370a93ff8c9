// Package console serves the web console: pages that are built from web/ and
// embedded here, so that they need nothing from elsewhere. The console is a
// client of the native API like any other; nothing here knows an access key.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// What `make web` builds. It is committed, so that Go alone builds the product.
//
//go:embed all:dist
var built embed.FS

// Path is where the console is served.
const Path = "/console/"

// policy lets a page load from its own origin only, and nobody frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is one file as it is sent.
type asset struct {
	kind          string // content type
	plain, packed []byte // packed: gzip; nil where that saves nothing
	etag          string
	forever       bool // its name changes with its content
}

// Register adds the console to mux, and sends browsers from / to it.
func Register(mux *http.ServeMux) error {
	assets, err := load()
	if err != nil {
		return fmt.Errorf("load the console: %w", err)
	}
	mux.Handle("GET "+Path, handler(assets))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, Path, http.StatusFound) })
	return nil
}

func load() (map[string]asset, error) {
	files, err := fs.Sub(built, "dist")
	if err != nil {
		return nil, err
	}
	assets := map[string]asset{}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == stamp {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		a := asset{kind: mime.TypeByExtension(path.Ext(name)), plain: text, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, forever: strings.HasPrefix(name, "assets/")}
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if _, err := z.Write(text); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		if packed.Len() < len(text)*9/10 {
			a.packed = packed.Bytes()
		}
		assets[name] = a
		return nil
	})
	if _, whole := assets["index.html"]; err == nil && !whole {
		err = fmt.Errorf("index.html is missing; build it with: make web")
	}
	return assets, err
}

// stamp is a file in dist that says which sources it was built from.
const stamp = "SOURCES"

func handler(assets map[string]asset) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, Path)
		if name == "" {
			name = "index.html"
		}
		a, have := assets[name]
		if !have {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Vary", "Accept-Encoding")
		h.Set("ETag", a.etag)
		if a.forever {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-cache")
		}
		if strings.Contains(r.Header.Get("If-None-Match"), a.etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body := a.plain
		if a.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = a.packed
		}
		h.Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	})
}
