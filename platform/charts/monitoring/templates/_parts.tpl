{{/* What the objects of one program carry; called with the program's name and the root. */}}
{{- define "monitoring.labels" -}}
{{ include "monitoring.selector" . }}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: sloproof-monitoring
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "monitoring.selector" -}}
app: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "monitoring.image" -}}
image: {{ required (printf "images.%s: say which image, NAME:TAG" .name) (get .root.Values.images .name) | quote }}
imagePullPolicy: {{ .root.Values.imagePullPolicy }}
{{- end }}

{{/* A pod that is nobody's but its own. */}}
{{- define "monitoring.podSecurity" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.user }}
  runAsGroup: {{ .Values.user }}
  fsGroup: {{ .Values.user }}
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "monitoring.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Looked at every second, so that it is found ready when it is; not restarted for being slow. */}}
{{- define "monitoring.probes" -}}
startupProbe:
  httpGet:
    path: {{ . }}
    port: http
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 120
readinessProbe:
  httpGet:
    path: {{ . }}
    port: http
  periodSeconds: 2
  # Nothing else could answer instead: who is slow on a busy node is asked all the same.
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe:
  tcpSocket:
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* The Go heap's soft limit, below the hard one of its memory. */}}
{{- define "monitoring.goMemory" -}}
{{- $limit := .limits.memory -}}
- name: GOMEMLIMIT
  value: {{ printf "%dMiB" (div (mul (trimSuffix "Mi" $limit | int) 85) 100) | quote }}
{{- end }}

{{/* A Service in front of one program. */}}
{{- define "monitoring.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  labels:
    {{- include "monitoring.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "monitoring.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .port }}
      targetPort: http
      protocol: TCP
{{- end }}

{{/* A ConfigMap of files; called with its name, the program's name, the files and the root. */}}
{{- define "monitoring.files" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .config }}
  labels:
    {{- include "monitoring.labels" . | nindent 4 }}
{{- if .files }}
data:
  {{- range $name, $text := .files }}
  {{ $name | quote }}: {{ $text | toJson }}
  {{- end }}
{{- else }}
data: {}
{{- end }}
{{- end }}

{{/* Reading the namespace's pods, for one program. */}}
{{- define "monitoring.podReader" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  labels:
    {{- include "monitoring.labels" . | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  labels:
    {{- include "monitoring.labels" . | nindent 4 }}
rules:
  - apiGroups: ['']
    resources: [pods]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "monitoring.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
