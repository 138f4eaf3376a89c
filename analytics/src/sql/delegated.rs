//! What a function of ours passes on to the one of `DataFusion` that it stands for: the one in its field `inner`.

/// Methods of `AggregateUDFImpl` about names, types and documentation; with `own return_field`, all but that one.
macro_rules! aggregate_named_as_inner {
    () => {
        aggregate_named_as_inner!(own return_field);

        fn return_field(
            &self,
            arguments: &[datafusion::arrow::datatypes::FieldRef],
        ) -> datafusion::common::Result<datafusion::arrow::datatypes::FieldRef> {
            self.inner.return_field(arguments)
        }
    };
    (own return_field) => {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn aliases(&self) -> &[String] {
            self.inner.aliases()
        }

        fn schema_name(
            &self,
            params: &datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> datafusion::common::Result<String> {
            self.inner.schema_name(params)
        }

        fn human_display(
            &self,
            params: &datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> datafusion::common::Result<String> {
            self.inner.human_display(params)
        }

        fn window_function_schema_name(
            &self,
            params: &datafusion::logical_expr::expr::WindowFunctionParams,
        ) -> datafusion::common::Result<String> {
            self.inner.window_function_schema_name(params)
        }

        fn display_name(
            &self,
            params: &datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> datafusion::common::Result<String> {
            self.inner.display_name(params)
        }

        fn window_function_display_name(
            &self,
            params: &datafusion::logical_expr::expr::WindowFunctionParams,
        ) -> datafusion::common::Result<String> {
            self.inner.window_function_display_name(params)
        }

        fn signature(&self) -> &datafusion::logical_expr::Signature {
            self.inner.signature()
        }

        fn return_type(
            &self,
            arguments: &[datafusion::arrow::datatypes::DataType],
        ) -> datafusion::common::Result<datafusion::arrow::datatypes::DataType> {
            self.inner.return_type(arguments)
        }

        fn is_nullable(&self) -> bool {
            self.inner.is_nullable()
        }

        fn coerce_types(
            &self,
            arguments: &[datafusion::arrow::datatypes::DataType],
        ) -> datafusion::common::Result<Vec<datafusion::arrow::datatypes::DataType>> {
            self.inner.coerce_types(arguments)
        }

        fn default_value(
            &self,
            kind: &datafusion::arrow::datatypes::DataType,
        ) -> datafusion::common::Result<datafusion::common::ScalarValue> {
            self.inner.default_value(kind)
        }

        fn supports_null_handling_clause(&self) -> bool {
            self.inner.supports_null_handling_clause()
        }

        fn documentation(&self) -> Option<&datafusion::logical_expr::Documentation> {
            self.inner.documentation()
        }

        fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
            self.inner.order_sensitivity()
        }
    };
}

/// Methods of `AggregateUDFImpl` by which rows are added up, one by one or group by group.
macro_rules! accumulates_as_inner {
    () => {
        fn accumulator(
            &self,
            arguments: datafusion::logical_expr::function::AccumulatorArgs<'_>,
        ) -> datafusion::common::Result<Box<dyn datafusion::logical_expr::Accumulator>> {
            self.inner.accumulator(arguments)
        }

        fn state_fields(
            &self,
            arguments: datafusion::logical_expr::function::StateFieldsArgs<'_>,
        ) -> datafusion::common::Result<Vec<datafusion::arrow::datatypes::FieldRef>> {
            self.inner.state_fields(arguments)
        }

        fn groups_accumulator_supported(
            &self,
            arguments: datafusion::logical_expr::function::AccumulatorArgs<'_>,
        ) -> bool {
            self.inner.groups_accumulator_supported(arguments)
        }

        fn create_groups_accumulator(
            &self,
            arguments: datafusion::logical_expr::function::AccumulatorArgs<'_>,
        ) -> datafusion::common::Result<Box<dyn datafusion::logical_expr::GroupsAccumulator>> {
            self.inner.create_groups_accumulator(arguments)
        }
    };
}

/// Methods of `ScalarUDFImpl` about names, types and documentation; with `own return_field`, all but that one.
macro_rules! scalar_named_as_inner {
    () => {
        scalar_named_as_inner!(own return_field);

        fn return_field_from_args(
            &self,
            args: datafusion::logical_expr::ReturnFieldArgs<'_>,
        ) -> datafusion::common::Result<datafusion::arrow::datatypes::FieldRef> {
            self.inner.return_field_from_args(args)
        }
    };
    (own return_field) => {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn aliases(&self) -> &[String] {
            self.inner.aliases()
        }

        fn schema_name(
            &self,
            args: &[datafusion::logical_expr::Expr],
        ) -> datafusion::common::Result<String> {
            self.inner.schema_name(args)
        }

        fn signature(&self) -> &datafusion::logical_expr::Signature {
            self.inner.signature()
        }

        fn return_type(
            &self,
            arguments: &[datafusion::arrow::datatypes::DataType],
        ) -> datafusion::common::Result<datafusion::arrow::datatypes::DataType> {
            self.inner.return_type(arguments)
        }

        fn is_strict(&self) -> bool {
            self.inner.is_strict()
        }

        fn coerce_types(
            &self,
            arguments: &[datafusion::arrow::datatypes::DataType],
        ) -> datafusion::common::Result<Vec<datafusion::arrow::datatypes::DataType>> {
            self.inner.coerce_types(arguments)
        }

        fn documentation(&self) -> Option<&datafusion::logical_expr::Documentation> {
            self.inner.documentation()
        }
    };
}

pub(crate) use {accumulates_as_inner, aggregate_named_as_inner, scalar_named_as_inner};
