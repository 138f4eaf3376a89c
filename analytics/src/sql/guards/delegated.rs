//! What an aggregate of ours passes on to the one of `DataFusion` that it stands for.

/// The methods of `AggregateUDFImpl` about names, types and documentation, by the field `inner`.
macro_rules! names_and_types_of_inner {
    () => {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn aliases(&self) -> &[String] {
            self.inner.aliases()
        }

        fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
            self.inner.schema_name(params)
        }

        fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
            self.inner.human_display(params)
        }

        fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
            self.inner.window_function_schema_name(params)
        }

        fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
            self.inner.display_name(params)
        }

        fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
            self.inner.window_function_display_name(params)
        }

        fn signature(&self) -> &Signature {
            self.inner.signature()
        }

        fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
            self.inner.return_type(arguments)
        }

        fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
            self.inner.return_field(arguments)
        }

        fn is_nullable(&self) -> bool {
            self.inner.is_nullable()
        }

        fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
            self.inner.coerce_types(arguments)
        }

        fn default_value(&self, kind: &DataType) -> Result<ScalarValue> {
            self.inner.default_value(kind)
        }

        fn supports_null_handling_clause(&self) -> bool {
            self.inner.supports_null_handling_clause()
        }

        fn documentation(&self) -> Option<&Documentation> {
            self.inner.documentation()
        }

        fn order_sensitivity(&self) -> AggregateOrderSensitivity {
            self.inner.order_sensitivity()
        }
    };
}

pub(super) use names_and_types_of_inner;
