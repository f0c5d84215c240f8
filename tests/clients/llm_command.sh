# Simon Willison's `llm`, with the model in its extra-openai-models.yaml.
set -eu
export LLM_USER_PATH="$PWD/llm"
mkdir -p "$LLM_USER_PATH"
cat > "$LLM_USER_PATH/extra-openai-models.yaml" <<YAML
- model_id: thord
  model_name: thor
  api_base: $THORD_URL
  supports_schema: true
- model_id: thord-text
  model_name: thor
  api_base: $THORD_URL
  completion: true
YAML
llm keys set openai --value none
llm -m thord -o temperature 0 "What is the capital of France?"
llm -m thord -o temperature 0 --no-stream "What is the capital of France?"
llm -m thord -c "And of Spain?"
llm -m thord-text -o max_tokens 8 "Once upon a time"
schema='{"type": "object", "properties": {"kind": {"enum": ["cat", "dog"]}, "old": {"type": "boolean"}}, "required": ["kind", "old"]}'
llm -m thord --schema "$schema" "A pet" | grep -E '^\{"kind": "(cat|dog)", "old": (true|false)\}$'
