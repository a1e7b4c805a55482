package imagestorelab

import (
	"strings"
	"testing"
	"time"
)

func TestALabThatIsNotReadySaysWhatItWroteOrThatItWroteNothing(t *testing.T) {
	const silent = ", and wrote nothing to its standard error"
	const status = "the lab ended with status "
	for _, one := range []struct {
		script string
		within time.Duration
		ends   string
	}{
		{"exit 3", time.Minute, status + "3 before it was ready" + silent},
		{"echo no room >&2", time.Minute, status + "0 before it was ready\nno room"},
		{"kill -9 $$", time.Minute, status + "137 (signal 9) before it was ready" + silent},
		{"echo ready, set, go; exit 1", time.Minute, status + "1 before it was ready" + silent},
		{"exec sleep 60", time.Millisecond, "the lab was not ready within 0.001 s" + silent},
	} {
		_, err := run(t, []string{"sh", "-c", one.script}, "", one.within)
		if err == nil || !strings.HasSuffix(err.Error(), one.ends) {
			t.Errorf("%s: %v", one.script, err)
		}
	}
}
