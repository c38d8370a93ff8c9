package console

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sources are what the console is built from.
var sources = []string{"index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "src"}

// digest is what scripts/web.sh writes: of each file's path and content, in order.
func digest(t *testing.T, root string) string {
	var files []string
	for _, s := range sources {
		err := filepath.WalkDir(filepath.Join(root, s), func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(rel(root, a), rel(root, b)) })
	h := sha256.New()
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		fmt.Fprintf(h, "%s  %s\n", hex.EncodeToString(sum[:]), rel(root, name))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func rel(root, name string) string {
	r, _ := filepath.Rel(root, name)
	return filepath.ToSlash(r)
}

func TestWhatIsEmbeddedWasBuiltFromTheSourcesHere(t *testing.T) {
	have, err := built.ReadFile("dist/" + stamp)
	if err != nil {
		t.Fatal(err)
	}
	if want := digest(t, "../../../web"); strings.TrimSpace(string(have)) != want {
		t.Error("web/ has changed since the console was built; build it again with: make web")
	}
}

func TestThePagesAreServedWhole(t *testing.T) {
	mux := http.NewServeMux()
	if err := Register(mux); err != nil {
		t.Fatal(err)
	}
	get := func(path string, header ...string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Result()
	}
	if r := get("/"); r.StatusCode != http.StatusFound || r.Header.Get("Location") != Path {
		t.Errorf("/ answers %d to %q", r.StatusCode, r.Header.Get("Location"))
	}
	page := get(Path)
	text, _ := io.ReadAll(page.Body)
	if page.StatusCode != 200 || !strings.Contains(string(text), `<div id="root">`) || !strings.Contains(page.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %s", page.StatusCode, text)
	}
	if strings.Contains(string(text), "http://") && !strings.Contains(string(text), "www.w3.org/2000/svg") || strings.Contains(string(text), "https://") {
		t.Error("the page refers to somewhere else")
	}
	if r := get(Path, "If-None-Match", page.Header.Get("ETag")); r.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: %d", r.StatusCode)
	}
	if r := get(Path + "SOURCES"); r.StatusCode != http.StatusNotFound {
		t.Errorf("the stamp is served: %d", r.StatusCode)
	}

	// All script together, compressed as it is sent: the budget is 250 KB.
	assets, err := load()
	if err != nil {
		t.Fatal(err)
	}
	script := 0
	for name, a := range assets {
		if strings.HasSuffix(name, ".js") {
			r := get(Path+name, "Accept-Encoding", "gzip")
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil || len(plain) != len(a.plain) {
				t.Errorf("%s: %d of %d bytes, %v", name, len(plain), len(a.plain), err)
			}
			script += len(a.packed)
		}
	}
	if script == 0 || script > 250_000 {
		t.Errorf("%d bytes of script", script)
	}
}
