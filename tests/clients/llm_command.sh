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
if llm -m thord --schema "name, age int" "A person" 2> refused; then
    echo "prose in place of a schema" >&2
    exit 1
fi
grep -q response_format refused
